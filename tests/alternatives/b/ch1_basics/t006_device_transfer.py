"""006：淺複製容器再逐項換掉；to_cpu 用 Tensor.cpu。"""

import copy

import torch
from torch.utils import _pytree as pytree


def pick_device() -> torch.device:
    kind = "cpu"
    if torch.backends.mps.is_available():
        kind = "mps"
    if torch.cuda.is_available():
        kind = "cuda"
    return torch.device(kind)


def to_device(obj, device, *, non_blocking: bool = False):
    if torch.is_tensor(obj):
        return obj.to(device=device, non_blocking=non_blocking)
    if isinstance(obj, dict):
        new = copy.copy(obj)
        for key, value in obj.items():
            new[key] = to_device(value, device, non_blocking=non_blocking)
        return new
    if isinstance(obj, tuple) and hasattr(obj, "_fields"):
        return obj._replace(**{k: to_device(getattr(obj, k), device, non_blocking=non_blocking) for k in obj._fields})
    if type(obj) in (list, tuple):
        return type(obj)([to_device(item, device, non_blocking=non_blocking) for item in obj])
    return obj


def to_cpu(obj):
    return pytree.tree_map_only(torch.Tensor, lambda t: t.cpu(), obj)
