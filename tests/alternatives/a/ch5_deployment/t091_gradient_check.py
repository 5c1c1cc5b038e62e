"""Task 091 in one batch of moved copies, evaluated one after another; the comparison is spelled out."""

import torch


def numerical_gradient(f, x, eps=1e-6):
    base = x.detach().to(torch.float64)
    steps = eps * torch.eye(base.numel(), dtype=torch.float64, device=base.device).reshape(-1, *base.shape)

    def at(point):
        out = f(point)
        if out.dim() > 0 and out.numel() > 1:
            raise ValueError(f"scalar wanted, got {out.numel()} elements")
        return float(out)

    slopes = [(at(base + step) - at(base - step)) / (2 * eps) for step in steps]
    return torch.tensor(slopes, dtype=torch.float64, device=base.device).reshape(base.shape)


def check_gradient(f, x, *, rtol=1e-4, atol=1e-6):
    wide = x.detach().clone().double().requires_grad_(True)
    numeric = numerical_gradient(f, wide)
    f(wide).backward()
    error = (wide.grad - numeric).abs()
    return bool((error <= atol + rtol * numeric.abs()).all())
