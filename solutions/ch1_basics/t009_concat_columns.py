"""009 · 沿 column 拼接：參考解"""

from collections.abc import Sequence

import torch
from torch import Tensor


def concat_columns(*tensors: Tensor) -> Tensor:
    """(n, p)、(n, q)、… -> (n, p + q + …)。"""
    if not tensors:
        raise ValueError("至少要給一個 tensor")
    rows = tensors[0].shape[:1]
    for tensor in tensors:  # torch.cat 自己拋的是 RuntimeError，而形狀 (0,) 的它會略過
        if tensor.dim() != 2 or tensor.shape[:1] != rows:
            raise ValueError(f"應為 row 數相同的 2 維 tensor，得到 {[tuple(t.shape) for t in tensors]}")
    return torch.cat(tensors, dim=1)


def split_columns(x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """x (n, c) -> (n, sizes[0])、(n, sizes[1])、…，都是 x 的 view。"""
    if sum(sizes) != x.shape[1]:
        raise ValueError(f"sizes {list(sizes)} 的總和應為 {x.shape[1]}，得到 {sum(sizes)}")
    return x.split(list(sizes), dim=1)
