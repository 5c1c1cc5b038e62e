"""070 · autograd 工具：參考解"""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """x (*) -> (*)：純量函數 f 在 x 的梯度。"""
    x = x.detach().requires_grad_()  # 新的葉節點：原來的 x 與它的 grad 都不受影響
    y = f(x)
    if y.numel() != 1:
        raise ValueError(f"f(x) 應只有一個元素，得到形狀 {tuple(y.shape)}")
    return vjp(y, x)


def jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """x (n,)，f(x) (m,) -> (m, n)：第 i 列是 f(x)[i] 的梯度。"""
    x = x.detach().requires_grad_()
    y = f(x)
    rows = torch.eye(len(y), dtype=y.dtype, device=y.device)
    return vjp(y, x, rows, is_grads_batched=True)


def hvp(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """x (n,)、v (n,) -> (n,)：純量函數 f 在 x 的 Hessian 乘以 v。"""
    x = x.detach().requires_grad_()
    return vjp(vjp(f(x), x, create_graph=True), x, v)


def vjp(y: Tensor, x: Tensor, v: Tensor | None = None, **options: bool) -> Tensor:
    """vᵀ ∂y/∂x；v 可以是一批。y 連不到 x 時是 0。"""
    grad = None
    if y.requires_grad:  # 不理會 x 的 f，結果可能連 grad_fn 都沒有
        (grad,) = torch.autograd.grad(y, x, v, allow_unused=True, **options)
    if grad is None:
        # 不用 materialize_grads：它不管 v 有幾列，一律補成 x 的形狀。
        return torch.zeros_like(x) if v is None else x.new_zeros(*v.shape[:-1], *x.shape)
    return grad
