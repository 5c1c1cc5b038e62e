"""010 · 以 autograd 求導數：參考解"""

from collections.abc import Callable

import torch
from torch import Tensor


def sine_gradient(x: Tensor) -> Tensor:
    """x (*) -> (*)：d sin(x) / dx，逐元素。"""
    return nth_derivative(torch.sin, x, 1)


def nth_derivative(f: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Tensor:
    """x (*) -> (*)：f 的第 order 階導數，逐元素。"""
    if order < 0:
        raise ValueError(f"order 不可為負數，得到 {order}")
    x = x.detach().requires_grad_()  # 自己的葉子：呼叫者的 x 與它的計算圖都不受影響
    y = f(x)
    for _ in range(order):
        if not y.requires_grad:  # 已是常數：autograd.grad 會拋出例外，而往後的導數都是 0
            return torch.zeros_like(x)
        # f 逐元素，所以全 1 的 cotangent 給出每個元素自己的導數；create_graph 讓下一階還能微分。
        (y,) = torch.autograd.grad(y, x, torch.ones_like(y), create_graph=True, materialize_grads=True)
    return y.detach()
