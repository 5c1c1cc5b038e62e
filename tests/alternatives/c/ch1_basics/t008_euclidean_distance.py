"""008：逐維累加、torch.norm 與 repeat。"""

import torch
from torch.nn.functional import mse_loss


def euclidean_distance(a, b):
    if a.shape != b.shape:
        raise ValueError(f"{a.shape} != {b.shape}")
    squared = mse_loss(a, b, reduction="sum")
    return torch.sqrt(squared + (squared == 0).to(squared.dtype) * 1e-12)


def pairwise_distances(x, y):
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"{x.shape}, {y.shape}")
    n, m = len(x), len(y)
    return torch.norm(x.repeat_interleave(m, 0) - y.repeat(n, 1), dim=1).view(n, m)
