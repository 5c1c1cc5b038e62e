"""072 · 匯出 ONNX：參考解"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    input_name: str = "input",
    output_name: str = "output",
) -> Path:
    """把 model 匯出成 path 這一個 ONNX 檔，傳回它的 Path。example (batch, ...)，batch 至少是 2。"""
    modes = {module: module.training for module in model.modules()}
    model.eval()  # 新的 exporter 照模型當時的模式匯出：train 模式會把 dropout 留在圖裡
    try:
        torch.onnx.export(
            model,
            (example,),
            path,
            input_names=[input_name],
            output_names=[output_name],
            dynamic_shapes=({0: "batch"},),
            external_data=False,  # 預設會把權重另存成 .onnx.data
            dynamo=True,
            verbose=False,
        )
    finally:
        for module, training in modes.items():
            module.training = training
    return Path(path)
