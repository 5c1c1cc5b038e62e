"""081 · 延遲和吞吐量：參考解"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class PerfReport:
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    throughput: float


def measure_performance(model: nn.Module, inputs: Tensor, *, runs: int = 100, warmup: int = 10) -> PerfReport:
    """延遲（毫秒）與吞吐量（samples/s）。inputs (N, ...)。"""
    if runs < 1:
        raise ValueError(f"runs 至少是 1，得到 {runs}")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            for _ in range(warmup):
                model(inputs)
            seconds = [_seconds(model, inputs) for _ in range(runs)]
    finally:
        for module, training in modes:
            module.training = training
    latencies = 1000 * torch.tensor(seconds, dtype=torch.float64)
    p50, p95, p99 = latencies.quantile(torch.tensor([0.50, 0.95, 0.99], dtype=torch.float64)).tolist()
    return PerfReport(latencies.mean().item(), p50, p95, p99, throughput=len(inputs) * runs / sum(seconds))


def _seconds(model: nn.Module, inputs: Tensor) -> float:
    _synchronize(inputs)  # 先前排著的工作不算
    start = time.perf_counter()
    model(inputs)
    _synchronize(inputs)  # kernel 是非同步的：等它們做完才停錶
    return time.perf_counter() - start


def _synchronize(inputs: Tensor) -> None:
    if inputs.is_cuda:
        torch.cuda.synchronize(inputs.device)
