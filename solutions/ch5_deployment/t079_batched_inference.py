"""079 · 大批量推理：參考解"""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn


def batch_inference(model: nn.Module, data: Tensor | Iterable[Tensor], batch_size: int) -> Tensor:
    """分批推理。data (N, ...) 或一筆一筆的 iterable；傳回 (N, ...)。"""
    modes = [(module, module.training) for module in model.modules()]
    infer = _tensor_inference if isinstance(data, Tensor) else _stream_inference
    model.eval()
    try:
        with torch.inference_mode():
            return infer(model, data, batch_size)
    finally:
        for module, training in modes:  # 逐一還原：model.train() 會連刻意凍結的子模組一起改
            module.training = training


def _tensor_inference(model: nn.Module, data: Tensor, batch_size: int) -> Tensor:
    result = None
    for start in range(0, max(len(data), 1), batch_size):  # 空的張量也走一次，讓模型決定其餘各維
        output = model(data[start : start + batch_size])
        if result is None:  # 其餘各維與 dtype 要看到第一批才知道；torch.cat 會讓輸出有兩份
            result = output.new_empty(len(data), *output.shape[1:])
        result[start : start + batch_size] = output
    return result


def _stream_inference(model: nn.Module, samples: Iterable[Tensor], batch_size: int) -> Tensor:
    samples, outputs = iter(samples), []
    while batch := list(islice(samples, batch_size)):
        outputs.append(model(torch.stack(batch)))
    return torch.cat(outputs) if outputs else torch.empty(0)
