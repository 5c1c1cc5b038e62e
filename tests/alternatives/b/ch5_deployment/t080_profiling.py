"""080 · another style: a schedule whose last step is left open, and the k greatest from a heap."""

import heapq
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity, profile, schedule


@dataclass(frozen=True)
class OpStat:
    name: str
    calls: int
    self_cpu_us: float
    self_device_us: float


def profile_model(model, inputs, *, steps=5, trace_path=None, top_k=10):
    cuda = inputs.is_cuda
    state = {name: module.training for name, module in model.named_modules()}
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if cuda else [])
    try:
        model.eval()
        with torch.no_grad(), profile(activities=activities, schedule=schedule(wait=0, warmup=3, active=steps)) as prof:
            for step in range(3 + steps):
                if step:
                    prof.step()
                model(inputs)
            if cuda:
                torch.cuda.synchronize()
    finally:
        for name, module in model.named_modules():
            module.training = state[name]
    if trace_path:
        prof.export_chrome_trace(str(trace_path))
    rows = [
        OpStat(row.key, int(row.count), float(row.self_cpu_time_total), float(row.self_device_time_total))
        for row in prof.key_averages()
        if not row.key.startswith("ProfilerStep")
    ]
    return heapq.nlargest(top_k, rows, key=lambda row: row.self_device_us if cuda else row.self_cpu_us)
