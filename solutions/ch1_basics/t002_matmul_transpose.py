"""002 · 將一個 3x3 的張量與其轉置矩陣相乘：參考解"""

import torch
from torch import Tensor


def matmul_with_transpose(x: Tensor) -> Tensor:
    """x (..., m, n) -> (..., m, m)。"""
    if x.dim() < 2:
        raise ValueError(f"x 至少要有兩維，得到 {x.dim()} 維（形狀 {tuple(x.shape)}）")
    # mT 只交換最後兩維；T 會把 batch 的維度也倒過來。
    return torch.matmul(x, x.mT)
