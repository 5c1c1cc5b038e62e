"""054 · 訓練循環與早停：參考解"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class History:
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False


def fit(
    model: nn.Module,
    train_loader: DataLoader,
    val_loader: DataLoader,
    criterion: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    max_epochs: int,
    patience: int,
) -> History:
    """訓練最多 max_epochs 個 epoch，還原最好的權重，回傳經過。"""
    history = History()
    best_loss = math.inf
    best_state = copy.deepcopy(model.state_dict())  # state_dict() 與模型共用記憶體，要複製
    for epoch in range(1, max_epochs + 1):
        history.train_loss.append(train_epoch(model, train_loader, criterion, optimizer))
        val_loss = evaluate(model, val_loader, criterion)
        history.val_loss.append(val_loss)
        # NaN 的任何比較都是 False，所以寫成 <：NaN 自然不算改善。
        if val_loss < best_loss:
            best_loss, history.best_epoch = val_loss, epoch
            best_state = copy.deepcopy(model.state_dict())
        elif epoch - history.best_epoch >= patience:
            history.stopped_early = True
            break
    model.load_state_dict(best_state)
    return history


def train_epoch(model: nn.Module, loader: DataLoader, criterion: Callable, optimizer: torch.optim.Optimizer) -> float:
    model.train()
    total, count = 0.0, 0
    for inputs, targets in loader:
        loss = criterion(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(inputs)  # batch 的平均 × 樣本數：最後一個 batch 較小
        count += len(inputs)
    return total / count


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader, criterion: Callable) -> float:
    model.eval()
    total, count = 0.0, 0
    for inputs, targets in loader:
        total += criterion(model(inputs), targets).item() * len(inputs)
        count += len(inputs)
    return total / count
