"""Task 070 without options: zero times x keeps every graph connected, and a batch of copies of x makes one backward."""

import torch
from torch.autograd import grad


def gradient(f, x):
    copy = x.detach().clone().requires_grad_(True)
    out = f(copy)
    if out.numel() != 1:
        raise ValueError(f"f must return one value, not {list(out.shape)}")
    return grad(out.reshape(()) + 0 * copy.sum(), copy)[0]


def jacobian(f, x):
    m = f(x.detach()).shape[0]
    copies = x.detach().repeat(m, 1).requires_grad_(True)
    out = torch.vmap(f)(copies)
    return grad(out.diagonal().sum() + 0 * copies.sum(), copies)[0]


def hvp(f, x, v):
    copy = x.detach().clone().requires_grad_(True)
    zero = 0 * copy.square().sum()
    first = grad(f(copy).sum() + zero, copy, create_graph=True)[0]
    return grad((first * v).sum(), copy)[0]
