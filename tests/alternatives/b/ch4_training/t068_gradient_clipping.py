"""068 · another style: one long vector, and one look at its norm to see whether there is anything to do."""

import math

import torch
from torch import Tensor


def having_grad(parameters):
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [p for p in parameters if p.grad is not None]


def clip_grad_norm(parameters, max_norm, norm_type=2.0):
    parameters = having_grad(parameters)
    if not parameters:
        return torch.tensor(0.0)
    magnitudes = torch.cat([p.grad.reshape(-1) for p in parameters]).abs()
    infinite = norm_type == math.inf
    norm = magnitudes.max() if infinite else magnitudes.pow(norm_type).sum().pow(1.0 / norm_type)
    if norm > max_norm:
        ratio = max_norm / (norm + 1e-6)
        for p in parameters:
            p.grad *= ratio
    return norm


def clip_grad_value(parameters, clip_value):
    for p in having_grad(parameters):
        p.grad.copy_(p.grad.clip(min=-clip_value, max=clip_value))
