"""089 · 模型的部署：參考解"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn


def export_program(model: nn.Module, example: Tensor, path: str | Path) -> Path:
    """把 model 以 torch.export 匯出到 path，batch 是動態的。example (batch, ...)，batch 至少是 1。"""
    if len(example) == 1:
        example = torch.cat([example, example])  # 大小 1 會被當成常數，至少要 2
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        program = torch.export.export(model, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    finally:
        for module, training in modes.items():  # 逐一還原：model.train() 會連刻意凍結的子模組一起改
            module.training = training
    torch.export.save(program, path)
    return Path(path)


def load_program(path: str | Path) -> Callable[[Tensor], Tensor]:
    """載入 export_program 寫的檔案；傳回的物件把 (batch, ...) 變成模型的輸出。"""
    if not Path(path).is_file():
        raise FileNotFoundError(f"找不到 {path}")
    try:
        program = torch.export.load(path)
    except Exception as error:  # 依損壞的方式是 RuntimeError、BadZipFile……
        raise ValueError(f"{path} 不是 torch.export 的程式：{error}") from error
    return program.module()
