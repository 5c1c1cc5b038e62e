"""016 · another style: F.pad and stack."""

import torch
from torch.nn import functional as F


def collate_pad(batch, *, padding_value=0):
    if not batch:
        raise ValueError("batch is []")
    pairs = sorted(enumerate(batch), key=lambda pair: (-len(pair[1]), pair[0]))
    ordered = [item for _, item in pairs]
    longest = len(ordered[0])
    rows, lengths = [], []
    dtype = None
    for item in ordered:
        if not isinstance(item, torch.Tensor):
            item = torch.tensor(item, dtype=dtype)
        dtype = item.dtype if dtype is None else dtype
        lengths.append(item.shape[0])
        room = [0, 0] * (item.dim() - 1) + [0, longest - item.shape[0]]
        rows.append(F.pad(item, room, value=padding_value))
    return torch.stack(rows), torch.LongTensor(lengths)
