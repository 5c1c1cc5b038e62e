"""039 · 自定義的損失函數：參考解"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class MseMaeLoss(nn.Module):
    def __init__(self, mae_weight: float = 1.0) -> None:
        super().__init__()
        self.mae_weight = mae_weight

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """predictions (*)、targets (*) -> 純量。"""
        if predictions.shape != targets.shape:  # 不擋下來，(B, 1) 與 (B,) 會默默 broadcast 成 (B, B)
            raise ValueError(f"形狀應相同，得到 {tuple(predictions.shape)} 與 {tuple(targets.shape)}")
        error = predictions - targets
        return error.square().mean() + self.mae_weight * error.abs().mean()


def fit(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    lr: float,
    steps: int,
) -> list[float]:
    """x (B, …)、y 與 model(x) 同形 -> steps 個損失，各是該次更新之前的。"""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()  # 放在 backward 之前，進來時殘留的 grad 也一併清掉
        loss = loss_fn(model(x), y)
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
    return losses
