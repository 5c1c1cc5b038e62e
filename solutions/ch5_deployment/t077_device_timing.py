"""077 · 裝置上的推理時間：參考解"""

import statistics
import time
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def measure_inference_time(
    model: nn.Module, inputs: Tensor, *, device: str | torch.device, warmup: int = 10, iterations: int = 50
) -> float:
    """在 device 上推理一次的時間：iterations 次的中位數，秒。inputs (N, ...)。"""
    device, home = torch.device(device), next(model.parameters()).device
    try:
        inputs = inputs.to(device)  # 也試出這個裝置在不在，模型還沒動
    except Exception as error:  # 沒有編進 CUDA 的 torch 拋出的是 AssertionError
        raise RuntimeError(f"這台機器沒有 {device}：{error}") from error
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.to(device).eval()
        with torch.inference_mode():
            for _ in range(warmup):
                model(inputs)
            return statistics.median(_seconds(model, inputs) for _ in range(iterations))
    finally:
        model.to(home)
        for module, training in modes:
            module.training = training


def compare_devices(
    model: nn.Module, inputs: Tensor, devices: Iterable[str | torch.device] | None = None
) -> dict[str, float]:
    """各裝置推理一次的時間，秒。"""
    if devices is None:
        devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return {str(device): measure_inference_time(model, inputs, device=device) for device in devices}


def _seconds(model: nn.Module, inputs: Tensor) -> float:
    _synchronize(inputs.device)  # 先前排著的工作不算
    start = time.perf_counter()
    model(inputs)
    _synchronize(inputs.device)  # kernel 是非同步的：等它們做完才停錶
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
