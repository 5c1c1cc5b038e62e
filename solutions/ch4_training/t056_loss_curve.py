"""056 · 損失曲線：參考解"""

import tempfile
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn
from torch.nn import functional as F


def train_and_record(model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, lr: float) -> list[float]:
    """x (N, ...)、y 形狀同 model(x) -> 每一步更新之前的 MSE。"""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(epochs):
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())  # 留下張量就留下了整張計算圖
    return losses


def plot_losses(curves: dict[str, list[float]], path: str | Path) -> Path:
    """把每條損失曲線畫成一條線，存成 path 這個 PNG 檔，傳回它的 Path。"""
    if not curves:
        raise ValueError("沒有曲線可畫：curves 是空的")
    for name, losses in curves.items():
        if not losses:
            raise ValueError(f"曲線 {name!r} 是空的")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(figsize=(7, 4.5))
    try:
        for name, losses in curves.items():
            axes.plot(range(1, len(losses) + 1), losses, label=name)
        axes.set(xlabel="epoch", ylabel="loss", title="Training loss")
        axes.legend()
        figure.savefig(path)
    finally:
        plt.close(figure)  # 不關的話 pyplot 會一直留著它；只關自己的這一張
    return path
