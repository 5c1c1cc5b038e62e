"""081 · another style: the nearest rank of a sorted list, throughput from the mean."""

import math
from dataclasses import dataclass
from statistics import fmean
from time import monotonic

import torch


@dataclass
class PerfReport:
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    throughput: float


@torch.inference_mode()
def measure_performance(model, inputs, *, runs=100, warmup=10):
    if runs < 1:
        raise ValueError(f"runs must be positive, not {runs}")
    training = [m for m in model.modules() if m.training]
    for m in training:
        m.training = False
    times = []
    try:
        for _ in range(warmup):
            model(inputs)
        while len(times) < runs:
            if inputs.is_cuda:
                torch.cuda.synchronize()
            begin = monotonic()
            model(inputs)
            if inputs.is_cuda:
                torch.cuda.synchronize()
            times.append(1e3 * (monotonic() - begin))
    finally:
        for m in training:
            m.training = True
    times.sort()
    ranks = [times[math.ceil(share * runs) - 1] for share in (0.5, 0.95, 0.99)]
    mean = fmean(times)
    return PerfReport(mean, *ranks, len(inputs) / (mean / 1e3))
