"""055 · 使用 torch.optim.SGD 訓練模型，並手動調整學習率

題目
    不用 torch.optim.lr_scheduler，自己調學習率。規則是階梯式下降，epoch 從 0 數起：

        rate(epoch) = base_lr · gamma ^ ⌊epoch / step_size⌋

    也就是第 0 到 step_size − 1 個 epoch 用 base_lr，之後每 step_size 個 epoch 乘一次 gamma，與 StepLR 相同。

    網路上有人在每次調整時重建 optimizer：momentum 的緩衝因此歸零，訓練會突然慢下來。學習率就放在
    optimizer.param_groups 裡，改那裡就好，其餘的狀態都要留著。

介面
    set_lr(optimizer, lr)
        把 optimizer 每一個參數群組的學習率設為 lr；optimizer 的其他設定與狀態不變。
    step_decay(base_lr, epoch, step_size, gamma)
        傳回上式的值，Python 的 float；step_size 至少是 1。
    train(model, loader, criterion, *, base_lr, momentum, epochs, step_size, gamma)
        以 torch.optim.SGD（有 momentum，沒有 weight decay、nesterov）訓練 model 的所有參數。
        loader 每個 epoch 重新走一遍，每個 batch 是 (inputs, targets)，更新一步；
        criterion(model(inputs), targets) 是 batch 的平均損失。model 已在 train() 模式，資料已在同一個裝置上。
        傳回每個 epoch 訓練時所用的學習率，長度 epochs 的 list。

評分
    形狀  train 傳回 float 的 list
    數值  step_decay 符合上式；train 傳回的學習率；各個 epoch 之後的權重都與 SGD 加 StepLR 相同
          （有 momentum 與沒有 momentum，momentum 跨過學習率的改變；各個 epoch 的 batch 不同）
    行為  set_lr 設了每個群組，其他設定與狀態不變；train 不重設全域亂數的種子
    禁用  torch.optim.lr_scheduler

範例
    >>> [step_decay(0.5, epoch, step_size=2, gamma=0.5) for epoch in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    >>> model, batches = nn.Linear(2, 1), [(torch.ones(3, 2), torch.zeros(3, 1))]
    >>> train(model, batches, nn.MSELoss(), base_lr=0.5, momentum=0.9, epochs=3, step_size=1, gamma=0.5)
    [0.5, 0.25, 0.125]

面試追問
    1. PyTorch 的 SGD 先累積 v ← μv + g，再以 w ← w − lr·v 更新；把 lr 乘在 v 裡面有什麼不同？
    2. 凍結的層與新的層要用不同的學習率，param_groups 怎麼設？之後要解凍一層呢？
    3. batch 放大 k 倍時學習率該怎麼調？為什麼要配合 warmup？
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """把每個參數群組的學習率設為 lr。"""
    raise NotImplementedError("TODO 055")


def step_decay(base_lr: float, epoch: int, step_size: int, gamma: float) -> float:
    """第 epoch 個 epoch（從 0 數起）的學習率。"""
    raise NotImplementedError("TODO 055")


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
    raise NotImplementedError("TODO 055")
