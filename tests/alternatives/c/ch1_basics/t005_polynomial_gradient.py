"""005 in another style: forward mode, one tangent of ones."""

import torch
from torch import Tensor


def polynomial(x: Tensor) -> Tensor:
    square = x * x
    return square * x + 2 * square - 5 * x + 1


def polynomial_gradient(x: Tensor) -> Tensor:
    if x.dtype.is_floating_point:
        x = x.detach()
        return torch.func.jvp(lambda t: polynomial(t), (x,), (torch.ones_like(x),))[1]
    raise TypeError(str(x.dtype))
