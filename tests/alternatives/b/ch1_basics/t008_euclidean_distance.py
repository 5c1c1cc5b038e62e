"""008：float64 裡的展開式，夾住極小值；單一距離用內積。"""

import torch


def euclidean_distance(a, b):
    if list(a.shape) != list(b.shape):
        raise ValueError(f"a {list(a.shape)}, b {list(b.shape)}")
    difference = (a - b).flatten()
    return torch.dot(difference, difference).clamp(min=1e-30).sqrt()


def pairwise_distances(x, y):
    if not (x.dim() == y.dim() == 2 and x.size(-1) == y.size(-1)):
        raise ValueError(f"x {list(x.shape)}, y {list(y.shape)}")
    p, q = x.double(), y.double()
    squared = (p * p).sum(1, keepdim=True) + (q * q).sum(1) - 2 * p @ q.mT
    return squared.clamp(min=1e-14).sqrt().to(x.dtype)
