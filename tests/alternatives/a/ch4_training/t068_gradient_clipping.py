"""068 · another style: torch's foreach operators."""

import torch


def _collect(parameters):
    several = (parameters,) if torch.is_tensor(parameters) else parameters
    return [p.grad.detach() for p in several if p.grad is not None]


def clip_grad_norm(parameters, max_norm, norm_type=2.0):
    found = _collect(parameters)
    if len(found) == 0:
        return torch.zeros(())
    norm = torch.stack(torch._foreach_norm(found, norm_type)).norm(norm_type)
    torch._foreach_mul_(found, (max_norm / (norm + 1e-6)).minimum(torch.ones_like(norm)))
    return norm


def clip_grad_value(parameters, clip_value):
    found = _collect(parameters)
    if found:
        torch._foreach_clamp_min_(found, -clip_value)
        torch._foreach_clamp_max_(found, clip_value)
