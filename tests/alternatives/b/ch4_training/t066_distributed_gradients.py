"""Task 066: which gradients exist is agreed upon first; those that nobody has stay None."""

import torch
from torch import distributed as dist
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors


def single():
    return not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1)


def shard_indices(length, rank, world_size):
    indices = list(range(length))
    while len(indices) % world_size:
        indices.append(indices[len(indices) % length])
    return indices[rank : len(indices) : world_size]


def broadcast_parameters(model, src=0):
    if single():
        return
    for p in model.parameters():
        dist.broadcast(p.data, src)
    for b in model.buffers():
        dist.broadcast(b, src)


def average_gradients(model):
    if single():
        return
    params = list(model.parameters())
    device = params[0].device
    present = torch.tensor([p.grad is not None for p in params], dtype=torch.int32, device=device)
    dist.all_reduce(present, op=dist.ReduceOp.MAX)
    used = [p for p, flag in zip(params, present.tolist(), strict=True) if flag]
    by_type = {}
    for p in used:
        by_type.setdefault(p.dtype, []).append(p)
    pending = []
    for group in by_type.values():
        parts = [torch.zeros_like(p) if p.grad is None else p.grad.detach() for p in group]
        flat = _flatten_dense_tensors(parts)
        pending.append((dist.all_reduce(flat, async_op=True), flat, parts, group))
    for work, flat, parts, group in pending:
        work.wait()
        flat /= dist.get_world_size()
        for p, g in zip(group, _unflatten_dense_tensors(flat, parts), strict=True):
            p.grad = g
