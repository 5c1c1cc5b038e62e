"""016 · 補齊長短不一的序列：參考解"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def collate_pad(batch: list[Tensor | list], *, padding_value: float = 0) -> tuple[Tensor, Tensor]:
    """B 條 (T_i, *) 的序列 -> padded (B, T, *)、lengths (B,)，由長到短。"""
    if not batch:
        raise ValueError("batch 是空的：沒有序列可以補齊")
    # sorted 建立新的 list；reverse=True 仍是穩定排序，長度相同的不會倒過來。
    items = sorted(batch, key=len, reverse=True)
    # 最長的一項一定有 dtype；空的 list 單獨轉會變成浮點數。
    first = torch.as_tensor(items[0])
    tensors = [torch.as_tensor(item, dtype=first.dtype, device=first.device) for item in items]
    padded = pad_sequence(tensors, batch_first=True, padding_value=padding_value)
    return padded, torch.tensor([len(item) for item in items])
