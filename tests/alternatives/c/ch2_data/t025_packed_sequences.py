"""025 · another style: last_outputs steps through time with the whole batch."""

import torch
from torch.nn.utils.rnn import pack_sequence, pad_sequence, unpack_sequence


def pad_and_pack(sequences):
    if not sequences or not all(map(len, sequences)):
        raise ValueError("sequences must not be empty")
    return pack_sequence(sequences, enforce_sorted=False)


unpack = unpack_sequence


def last_outputs(rnn, sequences):
    if not sequences or not all(map(len, sequences)):
        raise ValueError("sequences must not be empty")
    time_dim = 1 if rnn.batch_first else 0
    last, state, result = [len(s) - 1 for s in sequences], None, [None] * len(sequences)
    for step, x in enumerate(pad_sequence(sequences)):
        output, state = rnn(x.unsqueeze(time_dim), state)
        output = output.squeeze(time_dim)
        for index, end in enumerate(last):
            if end == step:
                result[index] = output[index]
    return torch.stack(result)
