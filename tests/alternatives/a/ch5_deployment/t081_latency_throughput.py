"""081 · another style: nanoseconds, NumPy's percentiles, time points between the calls."""

import contextlib
import dataclasses
import time

import numpy as np
import torch


@dataclasses.dataclass(frozen=True, kw_only=True)
class PerfReport:
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    throughput: float


@contextlib.contextmanager
def evaluation(model):
    was = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            yield model.eval()
    finally:
        for module in was:
            module.training = was[module]


def measure_performance(model, inputs, *, runs=100, warmup=10):
    if runs <= 0:
        raise ValueError(f"runs={runs}: need at least one")
    wait = torch.cuda.synchronize if inputs.device.type == "cuda" else lambda: None
    points = []
    with evaluation(model):
        for call in range(warmup + runs):
            if call == warmup:
                wait()
                points.append(time.perf_counter_ns())
            model(inputs)
            wait()
            if call >= warmup:
                points.append(time.perf_counter_ns())
    milliseconds = np.diff(points) / 1e6
    p50, p95, p99 = (float(np.percentile(milliseconds, q, method="higher")) for q in (50, 95, 99))
    return PerfReport(
        mean_ms=float(milliseconds.mean()),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        throughput=inputs.shape[0] * runs / (points[-1] - points[0]) * 1e9,
    )
