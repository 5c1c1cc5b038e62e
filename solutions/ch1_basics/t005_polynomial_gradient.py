"""005 · 計算 y = x³ + 2x² − 5x + 1 的梯度：參考解"""

import torch
from torch import Tensor


def polynomial(x: Tensor) -> Tensor:
    """x (*) -> x³ + 2x² − 5x + 1 (*)。"""
    return x**3 + 2 * x**2 - 5 * x + 1


def polynomial_gradient(x: Tensor) -> Tensor:
    """x (*) -> dy/dx (*)，由微分 polynomial 得到。"""
    if not x.is_floating_point():
        raise TypeError(f"x 必須是浮點數張量，得到 {x.dtype}")
    with torch.enable_grad():  # 呼叫的人可能在 no_grad 裡；sum() 也要在裡面，否則它不在計算圖上
        leaf = x.detach().requires_grad_()  # 新的 leaf：不碰 x 的 grad、requires_grad 與計算圖
        total = polynomial(leaf).sum()  # 逐元素的函式：∂(Σ y)/∂x_i 就是 dy_i/dx_i
    return torch.autograd.grad(total, leaf)[0]  # 回傳梯度，不像 backward 累加到 .grad
