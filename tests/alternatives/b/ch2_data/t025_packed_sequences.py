"""025 · another style: last_outputs pads only, which is right for one direction; unpack walks over the time steps."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence


def pad_and_pack(sequences):
    lengths = [len(s) for s in sequences]
    if not lengths or 0 in lengths:
        raise ValueError(lengths)
    return pack_padded_sequence(pad_sequence(sequences, True), lengths, batch_first=True, enforce_sorted=False)


def unpack(packed):
    steps = packed.data.split(packed.batch_sizes.tolist())
    rows = [torch.stack([step[i] for step in steps if len(step) > i]) for i in range(len(steps[0]))]
    if packed.unsorted_indices is None:
        return rows
    return [rows[i] for i in packed.unsorted_indices.tolist()]


def last_outputs(rnn, sequences):
    lengths = torch.tensor([s.shape[0] for s in sequences])
    if lengths.numel() == 0 or bool((lengths == 0).any()):
        raise ValueError("every sequence needs a step")
    outputs = rnn(pad_sequence(sequences, batch_first=rnn.batch_first))[0]
    outputs = outputs if rnn.batch_first else outputs.transpose(0, 1)
    return outputs[torch.arange(len(sequences)), lengths - 1]
