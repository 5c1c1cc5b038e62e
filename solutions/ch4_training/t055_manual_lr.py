"""055 · 手動調整學習率：參考解"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """把每個參數群組的學習率設為 lr。"""
    for group in optimizer.param_groups:
        group["lr"] = lr


def step_decay(base_lr: float, epoch: int, step_size: int, gamma: float) -> float:
    """第 epoch 個 epoch（從 0 數起）的學習率。"""
    return base_lr * gamma ** (epoch // step_size)


def train(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    criterion: Callable[[Tensor, Tensor], Tensor],
    *,
    base_lr: float,
    momentum: float,
    epochs: int,
    step_size: int,
    gamma: float,
) -> list[float]:
    """訓練 epochs 個 epoch，傳回每個 epoch 所用的學習率。"""
    # optimizer 只建一次：momentum 的緩衝在它裡面，重建就歸零了。
    optimizer = torch.optim.SGD(model.parameters(), lr=base_lr, momentum=momentum)
    rates = []
    for epoch in range(epochs):
        rate = step_decay(base_lr, epoch, step_size, gamma)
        set_lr(optimizer, rate)
        rates.append(rate)
        for inputs, targets in loader:
            loss = criterion(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return rates
