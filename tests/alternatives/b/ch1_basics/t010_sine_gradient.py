"""010：在複本上 backward(create_graph=True)，讀 .grad。"""

import warnings

import torch


def sine_gradient(x):
    leaf = x.clone().detach().requires_grad_(True)
    torch.sin(leaf).backward(torch.ones_like(leaf))
    return leaf.grad


def nth_derivative(f, x, order):
    if order < 0:
        raise ValueError(order)
    leaf = x.clone().detach().requires_grad_(True)
    value = f(leaf)
    for _ in range(order):
        leaf.grad = None
        if value.grad_fn is None and value is not leaf:
            value = torch.zeros_like(leaf)
            break
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value.sum().backward(create_graph=True)
        value = leaf.grad if leaf.grad is not None else torch.zeros_like(leaf)
    result = value.clone().detach()
    leaf.grad = None
    return result
