"""052：自己切 frame、rfft；逐個濾波器寫；逐段跑 LSTM；groupby 解碼。"""

import math
from itertools import groupby

import torch
from torch import nn


def hz(mel):
    return 700 * (10 ** (mel / 2595) - 1)


def log_mel(waveform, *, sample_rate=16000, n_fft=400, hop_length=160, n_mels=40):
    half = n_fft // 2
    padded = torch.nn.functional.pad(waveform[None, None], (half, half), mode="reflect")[0, 0]
    n = torch.arange(n_fft, dtype=waveform.dtype, device=waveform.device)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * n / n_fft)
    spectrum = torch.fft.rfft(padded.unfold(0, n_fft, hop_length) * window)
    power = spectrum.real**2 + spectrum.imag**2
    step = 2595 * math.log10(1 + 8000 / 700) / (n_mels + 1)
    ends = [hz(step * i) for i in range(n_mels + 2)]
    rows = []
    for low, middle, high in zip(ends, ends[1:], ends[2:], strict=False):
        bins = [k * sample_rate / n_fft for k in range(half + 1)]
        rows.append([max(0.0, min((f - low) / (middle - low), (high - f) / (high - middle))) for f in bins])
    bank = torch.tensor(rows, dtype=waveform.dtype, device=waveform.device)
    return torch.log(torch.maximum(power @ bank.mT, torch.full_like(power[:1, :1], 1e-10)))


class SpeechRecognizer(nn.Module):
    def __init__(self, n_mels, hidden_size, vocab_size):
        super().__init__()
        self.lstm = nn.LSTM(n_mels, hidden_size, bidirectional=True, batch_first=True)
        self.fc = nn.Linear(hidden_size * 2, vocab_size)

    def forward(self, features, lengths):
        out = features.new_zeros(features.size(0), features.size(1), self.fc.out_features)
        for i, n in enumerate(lengths.tolist()):
            hidden, _ = self.lstm(features[i : i + 1, :n])
            out[i, :n] = torch.log_softmax(self.fc(hidden[0]), -1)
        return out


def ctc_greedy_decode(log_probs, lengths, blank=0):
    best = [row[:n] for row, n in zip(log_probs.max(-1).indices.tolist(), lengths.tolist(), strict=True)]
    return [[symbol for symbol, _ in groupby(row) if symbol != blank] for row in best]
