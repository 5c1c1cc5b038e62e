"""009：column_stack 與 tensor_split。"""

import torch


def concat_columns(*tensors):
    rows = [t.shape[0] if t.dim() == 2 else None for t in tensors]
    if not rows or None in rows or min(rows) != max(rows):
        raise ValueError(f"row counts {rows}")
    return torch.column_stack(tensors)


def split_columns(x, sizes):
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    if ends[-1] != x.shape[1]:
        raise ValueError(f"sizes={sizes}, x={tuple(x.shape)}")
    return torch.tensor_split(x, ends[1:-1], dim=1)
