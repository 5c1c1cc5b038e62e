"""025 · another style: sorted by hand, the order kept in the PackedSequence; outputs gathered after padding."""

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence, pad_sequence


def pad_and_pack(sequences):
    if len(sequences) == 0 or any(s.shape[0] == 0 for s in sequences):
        raise ValueError("empty")
    order = sorted(range(len(sequences)), key=lambda i: -sequences[i].shape[0])
    padded = pad_sequence([sequences[i] for i in order])
    packed = pack_padded_sequence(padded, [sequences[i].shape[0] for i in order])
    sorted_indices = torch.tensor(order, device=padded.device)
    return PackedSequence(packed.data, packed.batch_sizes, sorted_indices, torch.argsort(sorted_indices))


def unpack(packed):
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    return [row[:length] for row, length in zip(padded, lengths.tolist(), strict=True)]


def last_outputs(rnn, sequences):
    outputs, _ = rnn(pad_and_pack(sequences))
    padded, lengths = pad_packed_sequence(outputs)
    index = (lengths - 1).to(padded.device).view(1, -1, 1).expand(1, -1, padded.shape[2])
    return padded.gather(0, index).squeeze(0)
