"""Task 070 by forward mode where it fits: batched tangents for the jacobian, dual numbers over a gradient for hvp."""

import torch
import torch.autograd.forward_ad as fwad


def gradient(f, x):
    with torch.enable_grad():
        leaf = torch.empty_like(x).copy_(x).requires_grad_()
        y = f(leaf)
        if y.numel() > 1:
            raise ValueError(f"f(x) has {y.numel()} elements")
        if y.grad_fn is None:
            return torch.zeros_like(x)
        return torch.autograd.grad(y.sum(), leaf, allow_unused=True, materialize_grads=True)[0].detach()


def jacobian(f, x):
    x = x.detach()

    def column(tangent):
        return torch.func.jvp(f, (x,), (tangent,))[1]

    return torch.vmap(column, out_dims=1)(torch.eye(len(x), dtype=x.dtype, device=x.device))


def hvp(f, x, v):
    with fwad.dual_level():
        dual = fwad.make_dual(x.detach().clone().requires_grad_(), v)
        value = f(dual)
        if not value.requires_grad:
            return torch.zeros_like(x.detach())
        (first,) = torch.autograd.grad(value.sum(), dual, create_graph=True, allow_unused=True, materialize_grads=True)
        tangent = fwad.unpack_dual(first).tangent
    return torch.zeros_like(x.detach()) if tangent is None else tangent.detach()
