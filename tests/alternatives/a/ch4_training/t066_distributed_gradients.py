"""Task 066: tensor by tensor for the broadcast, gathered gradients and a mean for the average."""

import itertools

import torch
import torch.distributed as dist


def shard_indices(length, rank, world_size):
    per_rank = -(-length // world_size)
    endless = itertools.cycle(range(length))
    padded = list(itertools.islice(endless, per_rank * world_size))
    return padded[rank::world_size]


def broadcast_parameters(model, src=0):
    if not dist.is_available() or not dist.is_initialized():
        return
    for tensor in model.state_dict().values():
        dist.broadcast(tensor, src=src)


def average_gradients(model):
    if not dist.is_available() or not dist.is_initialized():
        return
    trainable = [p for p in model.parameters() if p.requires_grad]
    for dtype in sorted({p.dtype for p in trainable}, key=str):
        mine = [p for p in trainable if p.dtype == dtype]
        vector = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in mine])
        everyone = [torch.empty_like(vector) for _ in range(dist.get_world_size())]
        dist.all_gather(everyone, vector)
        mean = torch.stack(everyone).mean(dim=0)
        position = 0
        for p in mine:
            p.grad = mean[position : position + p.numel()].reshape(p.shape).clone()
            position += p.numel()
