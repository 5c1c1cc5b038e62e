"""008：對 x 的每一列迴圈；開根號前以 where 避開 0。"""

import torch


def _root(squared):
    positive = squared > 0
    return torch.where(positive, torch.where(positive, squared, 1.0).sqrt(), 0.0)


def euclidean_distance(a, b):
    if a.size() != b.size():
        raise ValueError(f"shapes differ: {a.shape} vs {b.shape}")
    return _root(((a - b) ** 2).sum())


def pairwise_distances(x, y):
    if x.ndim != 2 or y.ndim != 2:
        raise ValueError(f"expected two matrices, got {x.shape} and {y.shape}")
    if x.size(1) != y.size(1):
        raise ValueError(f"the points have {x.size(1)} and {y.size(1)} coordinates")
    return torch.stack([_root((row - y).pow(2).sum(dim=1)) for row in x])
