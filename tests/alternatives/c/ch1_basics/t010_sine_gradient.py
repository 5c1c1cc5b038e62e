"""010：前向模式（jvp）遞迴。"""

import torch
from torch.func import jvp


def sine_gradient(x):
    value, tangent = jvp(torch.sin, (x.detach(),), (torch.ones_like(x),))
    return tangent


def nth_derivative(f, x, order):
    if order < 0:
        raise ValueError(f"order = {order} < 0")
    if order == 0:
        return f(x.detach()).detach()
    return nth_derivative(lambda t: jvp(f, (t,), (torch.ones_like(t),))[1], x, order - 1)
