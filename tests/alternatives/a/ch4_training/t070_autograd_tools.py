"""Task 070 with torch.func: function transforms instead of tensors that require gradients."""

from torch import eye, func


def gradient(f, x):
    value, pull = func.vjp(f, x.detach())
    if value.numel() > 1:
        raise ValueError(f"expected one element, got {value.numel()}")
    return pull(value.detach().new_ones(value.shape))[0]


def jacobian(f, x):
    value, pull = func.vjp(f, x.detach())
    return func.vmap(pull)(eye(value.shape[0], dtype=x.dtype, device=x.device))[0]


def hvp(f, x, v):
    return func.jvp(func.grad(lambda t: f(t).sum()), (x.detach(),), (v,))[1]
