"""003 in another style: one column at a time, and Welford's running update."""

import torch
from torch import Tensor


def random_matrix(rows: int = 5, cols: int = 5, *, generator: torch.Generator | None = None) -> Tensor:
    return torch.stack([torch.rand(cols, generator=generator) for _ in range(rows)])


def column_stats(x: Tensor) -> tuple[Tensor, Tensor]:
    if x.size(0) <= 1:
        raise ValueError(f"x must have two rows or more: {x.size()}")
    mean, spread = torch.zeros_like(x[0]), torch.zeros_like(x[0])
    for count, row in enumerate(x, start=1):
        delta = row - mean
        mean = mean + delta / count
        spread = spread + delta * (row - mean)
    return mean, (spread / (x.size(0) - 1)) ** 0.5
