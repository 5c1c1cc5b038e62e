"""090 · TensorBoard：參考解"""

import tempfile
from pathlib import Path

from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter


def log_training(
    log_dir: str | Path,
    curves: dict[str, list[float]],
    *,
    model: nn.Module | None = None,
    example: Tensor | None = None,
) -> None:
    """把曲線、參數的 histogram 與計算圖寫進 log_dir。example (batch, ...)。"""
    with SummaryWriter(str(log_dir)) as writer:  # 離開時 close：寫完、關檔、結束背景的執行緒
        for tag, values in curves.items():
            for step, value in enumerate(values, start=1):
                writer.add_scalar(tag, value, step)
        if model is not None:
            for name, parameter in model.named_parameters():
                writer.add_histogram(name, parameter)
            writer.add_graph(model, example)
