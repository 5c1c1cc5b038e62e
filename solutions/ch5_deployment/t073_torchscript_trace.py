"""073 · torch.jit.trace：參考解"""

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn


def trace_model(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    check_inputs: Iterable[Tensor] = (),
) -> torch.jit.ScriptModule:
    """以 example (batch, ...) trace model，與 check_inputs 比較無誤後存到 path，傳回 ScriptModule。"""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated 與 TracerWarning：以實際比較的結果為準
            traced = torch.jit.trace(model, example, check_trace=False)
            for number, x in enumerate(check_inputs):
                expected = model(x)
                try:
                    torch.testing.assert_close(traced(x), expected, rtol=1e-4, atol=1e-4)
                except (AssertionError, RuntimeError) as error:  # 數值或形狀不同；或者大小被寫死，根本跑不動
                    raise ValueError(f"第 {number} 個 check_inputs 的結果與原模型不同：{error}") from error
            traced.save(path)
    finally:
        for module, training in modes.items():  # 逐一還原：model.train() 會連刻意凍結的子模組一起改
            module.training = training
    return traced
