"""009：torch.hstack，以及逐塊 narrow。"""

from itertools import accumulate

import torch


def concat_columns(*tensors):
    if len(tensors) == 0:
        raise ValueError("nothing to concatenate")
    if any(t.ndim != 2 for t in tensors):
        raise ValueError("every operand must have two dimensions")
    counts = {t.size(0) for t in tensors}
    if len(counts) > 1:
        raise ValueError(f"row counts differ: {counts}")
    return torch.hstack(tensors)


def split_columns(x, sizes):
    *starts, end = accumulate(sizes, initial=0)
    if end != x.size(1):
        raise ValueError(f"{sizes} adds up to {end}, not to {x.size(1)}")
    return tuple(x.narrow(1, start, size) for start, size in zip(starts, sizes, strict=True))
