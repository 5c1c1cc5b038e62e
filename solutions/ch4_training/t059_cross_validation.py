"""059 · 模型的 K 折交叉驗證：參考解"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def kfold_indices(n: int, k: int, *, shuffle: bool = False, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """k 折的 (訓練索引, 驗證索引)，都由小到大。"""
    if not 2 <= k <= n:
        raise ValueError(f"k 應在 2 與 n = {n} 之間，得到 {k}")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)) if shuffle else torch.arange(n)
    parts = order.tensor_split(k)  # 除不盡時前 n % k 份各多一個
    return [
        (torch.cat([*parts[:i], *parts[i + 1 :]]).sort().values, validation.sort().values)
        for i, validation in enumerate(parts)
    ]


def cross_validate(
    make_model: Callable[[], nn.Module], x: Tensor, y: Tensor, *, k: int, epochs: int, lr: float, seed: int = 0
) -> list[float]:
    """x (N, D)、y (N, 1) -> 各折驗證的 MSE。"""
    losses = []
    for train, validation in kfold_indices(len(x), k, shuffle=True, seed=seed):
        train, validation = train.to(x.device), validation.to(x.device)
        model = make_model()
        # 平均與標準差只看訓練部分：驗證資料在訓練時應該還沒見過。
        mean, std = x[train].mean(0), x[train].std(0, correction=0)
        scaled = (x - mean) / std.where(std > 0, 1.0)
        optimizer = torch.optim.SGD(model.parameters(), lr=lr)
        model.train()
        for _ in range(epochs):
            optimizer.zero_grad()
            F.mse_loss(model(scaled[train]), y[train]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses.append(F.mse_loss(model(scaled[validation]), y[validation]).item())
    return losses
