"""006：functools.singledispatch，複製到空的 tensor 裡。"""

from collections import OrderedDict
from functools import singledispatch

import torch


def pick_device() -> torch.device:
    names = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    return torch.device(next((name for name, available in names.items() if available()), "cpu"), 0)


@singledispatch
def _move(obj, device, flag):
    return obj


@_move.register
def _(obj: torch.Tensor, device, flag):
    if obj.device == torch.device(device):
        return obj
    return torch.empty_like(obj, device=device, requires_grad=False).copy_(obj, flag)


@_move.register
def _(obj: list, device, flag):
    return [_move(item, device, flag) for item in obj]


@_move.register
def _(obj: tuple, device, flag):
    items = [_move(item, device, flag) for item in obj]
    return obj._make(items) if hasattr(obj, "_make") else tuple(items)


@_move.register
def _(obj: dict, device, flag):
    new = OrderedDict() if isinstance(obj, OrderedDict) else {}
    for key in obj:
        new[key] = _move(obj[key], device, flag)
    return new


def to_device(obj, device, *, non_blocking: bool = False):
    return _move(obj, device, non_blocking)


def to_cpu(obj):
    return _move(obj, torch.device("cpu"), False)
