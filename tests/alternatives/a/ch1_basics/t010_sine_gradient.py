"""010：torch.func.grad 一層層包起來。"""

from torch.func import grad


def sine_gradient(x):
    return grad(lambda t: t.sin().sum())(x.detach())


def nth_derivative(f, x, order):
    if order < 0:
        raise ValueError(f"negative order: {order}")

    def derivative(g):
        return grad(lambda t: g(t).sum())

    for _ in range(order):
        f = derivative(f)
    return f(x.detach()).detach()
