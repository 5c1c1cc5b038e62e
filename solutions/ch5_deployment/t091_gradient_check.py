"""091 · 梯度檢查：參考解"""

from collections.abc import Callable

import torch
from torch import Tensor


@torch.no_grad()
def numerical_gradient(f: Callable[[Tensor], Tensor], x: Tensor, eps: float = 1e-6) -> Tensor:
    """x (*) -> (*)：純量函數 f 在 x 的中央差分，在 float64 下計算。"""
    # 複製一份才能就地推移：x 已經是 float64 時，double() 傳回的就是 x 自己。
    moved = x.double().clone(memory_format=torch.contiguous_format)
    grad = torch.empty_like(moved)
    for element, slope in zip(moved.view(-1), grad.view(-1), strict=True):  # 都是 view：寫進去就是改原來的張量
        center = element.item()
        element.fill_(center + eps)
        high = value(f, moved).item()  # 立刻取出數字：f 傳回的可能是 moved 的 view，之後會跟著變
        element.fill_(center - eps)
        low = value(f, moved).item()
        element.fill_(center)
        slope.fill_((high - low) / (2 * eps))
    return grad


def check_gradient(f: Callable[[Tensor], Tensor], x: Tensor, *, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """autograd 對 f 在 x 的梯度，是否與數值微分相符。"""
    x = x.detach().double().requires_grad_()
    (analytic,) = torch.autograd.grad(value(f, x), x)
    return torch.allclose(analytic, numerical_gradient(f, x), rtol=rtol, atol=atol)


def value(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """f(x)；不是純量時拋出 ValueError。"""
    y = f(x)
    if y.numel() != 1:
        raise ValueError(f"f(x) 應是純量，得到形狀 {tuple(y.shape)}")
    return y
