"""058 · 混合精度訓練：參考解"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def amp_train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    dtype: torch.dtype = torch.bfloat16,
    scaler: torch.amp.GradScaler | None = None,
    max_norm: float | None = None,
) -> float:
    """混合精度訓練一步，傳回更新之前、沒有放大的損失。"""
    if scaler is None:
        scaler = torch.amp.GradScaler(enabled=False)  # 關掉的 scaler 什麼也不做，底下就不必分兩種寫法
    optimizer.zero_grad()
    with torch.autocast(x.device.type, dtype=dtype):  # 只包 forward
        outputs = model(x)
    loss = criterion(outputs.float(), y)
    scaler.scale(loss).backward()
    if max_norm is not None:
        scaler.unscale_(optimizer)  # 先除回來，截的才是真正的梯度
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    scaler.step(optimizer)
    scaler.update()
    return loss.item()
