"""009：轉置後沿 dim 0 接；預先配置再填值；切片。"""

from functools import reduce

import torch


def concat_columns(*tensors):
    if not tensors:
        raise ValueError("empty")
    shapes = [tuple(t.shape) for t in tensors]
    if not all(len(shape) == 2 and shape[0] == shapes[0][0] for shape in shapes if shape) or () in shapes:
        raise ValueError(f"cannot concatenate {shapes}")
    dtype = reduce(torch.promote_types, (t.dtype for t in tensors))
    wide = torch.empty(shapes[0][0], sum(s[1] for s in shapes), dtype=dtype, device=tensors[0].device)
    start = 0
    for t in tensors:
        wide[:, start : start + t.shape[1]] = t.to(dtype)
        start += t.shape[1]
    return wide


def split_columns(x, sizes):
    if sum(sizes) - x.shape[-1]:
        raise ValueError("sizes")
    parts, start = [], 0
    for size in sizes:
        parts.append(x[:, start : start + size])
        start += size
    return tuple(parts)
