"""006 · 裝置之間的搬移：參考解"""

from typing import Any

import torch
from torch import Tensor


def pick_device() -> torch.device:
    """cuda、mps、cpu 之中最先可用的裝置。"""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def to_device(obj: Any, device: torch.device | str, *, non_blocking: bool = False) -> Any:
    """把 obj 裡的每個 tensor 搬到 device；結構與其他物件不變，tensor 的形狀不變。"""
    if isinstance(obj, Tensor):
        return obj.to(device, non_blocking=non_blocking)  # 可微；已在 device 上時傳回 obj 自己

    def move(item: Any) -> Any:
        return to_device(item, device, non_blocking=non_blocking)

    if isinstance(obj, dict):
        return type(obj)((key, move(value)) for key, value in obj.items())
    if isinstance(obj, tuple) and hasattr(obj, "_fields"):
        return type(obj)(*map(move, obj))  # namedtuple 的建構子收的是一個個欄位，不是一個 iterable
    if isinstance(obj, list | tuple):
        return type(obj)(map(move, obj))
    return obj


def to_cpu(obj: Any) -> Any:
    """把 obj 裡的每個 tensor 搬回 CPU。"""
    return to_device(obj, "cpu")
