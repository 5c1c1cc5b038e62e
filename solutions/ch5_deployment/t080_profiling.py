"""080 · torch.profiler：參考解"""

import os
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

WARMUP = 2


@dataclass
class OpStat:
    name: str
    calls: int
    self_cpu_us: float
    self_device_us: float


def profile_model(
    model: nn.Module,
    inputs: Tensor,
    *,
    steps: int = 5,
    trace_path: str | os.PathLike | None = None,
    top_k: int = 10,
) -> list[OpStat]:
    """最花時間的 top_k 個運算，依 self time 由大到小。"""
    activities = [ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * inputs.is_cuda]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            for _ in range(WARMUP):  # 在 profiler 之外，怎麼樣也不會算進去
                model(inputs)
            with profile(activities=activities) as profiler:
                for _ in range(steps):
                    model(inputs)
                if inputs.is_cuda:
                    torch.cuda.synchronize(inputs.device)  # 排著的 kernel 也要記到
    finally:
        for module, training in modes:
            module.training = training
    if trace_path is not None:
        profiler.export_chrome_trace(os.fspath(trace_path))
    stats = [
        OpStat(event.key, event.count, float(event.self_cpu_time_total), float(event.self_device_time_total))
        for event in profiler.key_averages()
    ]
    stats.sort(key=lambda stat: stat.self_device_us if inputs.is_cuda else stat.self_cpu_us, reverse=True)
    return stats[:top_k]
