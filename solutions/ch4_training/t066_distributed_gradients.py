"""066 · 自己寫的資料平行：參考解"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def shard_indices(length: int, rank: int, world_size: int) -> list[int]:
    """第 rank 個 rank 負責的樣本編號；每個 rank 一樣多。"""
    total = math.ceil(length / world_size) * world_size
    return [index % length for index in range(rank, total, world_size)]


def broadcast_parameters(model: nn.Module, src: int = 0) -> None:
    """把第 src 個 rank 的參數與 buffer 送給所有 rank。"""
    if _is_alone():
        return
    _flattened([*model.parameters(), *model.buffers()], lambda flat: dist.broadcast(flat, src))


def average_gradients(model: nn.Module) -> None:
    """把每個參數的 .grad 換成所有 rank 的平均。"""
    if _is_alone():
        return
    parameters = [p for p in model.parameters() if p.requires_grad]
    for p in parameters:
        if p.grad is None:  # 別的 rank 可能有：大家都要參加，沒有的出 0
            p.grad = torch.zeros_like(p)
    world_size = dist.get_world_size()
    _flattened([p.grad for p in parameters], lambda flat: dist.all_reduce(flat.div_(world_size)))


def _is_alone() -> bool:
    return not dist.is_initialized() or dist.get_world_size() == 1


@torch.no_grad()
def _flattened(tensors: Iterable[Tensor], collective: Callable[[Tensor], object]) -> None:
    """同 dtype 的張量接成一條，做一次 collective，再拆回原處；順序在每個 rank 都相同。"""
    groups: dict[tuple, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    for group in groups.values():
        flat = torch.cat([tensor.reshape(-1) for tensor in group])
        collective(flat)
        for tensor, part in zip(group, flat.split([tensor.numel() for tensor in group]), strict=True):
            tensor.copy_(part.view_as(tensor))
