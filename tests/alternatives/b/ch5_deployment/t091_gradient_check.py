"""Task 091 by index tuples and NumPy, giving the gradient back in the dtype of x."""

import numpy as np
import torch


def _scalar(y):
    if y.shape not in {torch.Size([]), torch.Size([1])}:
        raise ValueError(f"f(x) has the shape {tuple(y.shape)}")
    return y.reshape(())


def numerical_gradient(f, x, eps=1e-6):
    point = x.detach().cpu().double().numpy().copy()
    slopes = np.zeros_like(point)
    for index in np.ndindex(*point.shape):
        kept = point[index]
        sides = []
        for step in (+eps, -eps):
            point[index] = kept + step
            sides.append(_scalar(f(torch.tensor(point, device=x.device))).detach().item())
        point[index] = kept
        slopes[index] = (sides[0] - sides[1]) / (2 * eps)
    return torch.tensor(slopes, device=x.device, dtype=x.dtype)


def check_gradient(f, x, *, rtol=1e-4, atol=1e-6):
    leaf = x.detach().double().clone().requires_grad_()
    analytic = torch.autograd.grad(_scalar(f(leaf)), leaf, allow_unused=True, materialize_grads=True)[0]
    try:
        torch.testing.assert_close(analytic, numerical_gradient(f, leaf), rtol=rtol, atol=atol)
    except AssertionError:
        return False
    return True
