"""025 · 可變長度的序列：參考解"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence


def pad_and_pack(sequences: list[Tensor]) -> PackedSequence:
    """B 條 (T_i, D) -> PackedSequence。"""
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    if not len(lengths) or lengths.min() < 1:
        raise ValueError(f"要有序列，而且每條至少一步；得到的長度是 {lengths.tolist()}")
    # enforce_sorted=False 自己排序，並在 unsorted_indices 記住怎麼排回來。
    return pack_sequence(sequences, enforce_sorted=False)


def unpack(packed: PackedSequence) -> list[Tensor]:
    """PackedSequence -> B 條 (T_i, *)，原來的順序與長度。"""
    return unpack_sequence(packed)


def last_outputs(rnn: nn.GRU | nn.LSTM, sequences: list[Tensor]) -> Tensor:
    """B 條 (T_i, D) -> (B, H)，各條最後一步的輸出。"""
    # 打包之後 batch_first 不起作用。h_n 停在各條真正的最後一步，順序也已經換回輸入的順序。
    _, state = rnn(pad_and_pack(sequences))
    hidden = state[0] if isinstance(state, tuple) else state  # LSTM 的狀態是 (h, c)
    return hidden[-1]  # 最上層
