"""092 · 靜態量化：參考解"""

import copy
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class SizeReport:
    original_bytes: int
    quantized_bytes: int
    ratio: float


def quantize_static(model: nn.Module, calibration_batches: Iterable[Tensor]) -> nn.Module:
    """以 calibration_batches 定出各層 activation 的範圍，傳回權重與 activation 都是 8 位元的新模型。"""
    batches = list(calibration_batches)
    if model.training:
        raise ValueError("模型還在 train 模式；先呼叫 model.eval()")
    if not batches:
        raise ValueError("沒有校正資料：不知道 activation 的範圍")
    tools = torch.ao.quantization
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch.ao 已標示為 deprecated
        wrapped = tools.QuantWrapper(copy.deepcopy(model))  # 前後加上量化與還原
        wrapped.qconfig = tools.get_default_qconfig(torch.backends.quantized.engine)
        tools.prepare(wrapped, inplace=True)  # 每一層裝上 observer
        for batch in batches:
            wrapped(batch)
        return tools.convert(wrapped, inplace=True)


def size_report(original: nn.Module, quantized: nn.Module) -> SizeReport:
    """兩個模型的 state_dict 存檔各是幾個 byte，以及後者是前者的幾倍。"""
    before, after = saved_bytes(original), saved_bytes(quantized)
    return SizeReport(before, after, after / before)


def saved_bytes(model: nn.Module) -> int:
    """state_dict 以 torch.save 存檔的大小。"""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.tell()
