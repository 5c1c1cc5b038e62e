"""052：照 torchaudio 的刻度與順序（乘在頻率軸的左邊）；LSTM 以排序後的 pack；逐 frame 解碼。"""

import math

import torch
from torch import nn
from torch.nn.utils import rnn


def filterbank(frequencies, low, high, count):
    def to_mel(f):
        return 2595.0 * math.log10(1.0 + f / 700.0)

    mels = torch.linspace(to_mel(low), to_mel(high), count + 2)
    points = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    gaps = points[1:] - points[:-1]
    slopes = points.unsqueeze(0) - frequencies.unsqueeze(1)
    down = -slopes[:, :-2] / gaps[:-1]
    up = slopes[:, 2:] / gaps[1:]
    return torch.max(torch.zeros(1), torch.min(down, up))


def log_mel(waveform, *, sample_rate=16000, n_fft=400, hop_length=160, n_mels=40):
    window = torch.hann_window(n_fft, periodic=True).to(waveform)
    spectrum = torch.stft(
        waveform.unsqueeze(0), n_fft, hop_length, n_fft, window, center=True, pad_mode="reflect", return_complex=True
    )
    power = spectrum.abs().pow(2.0)[0]
    bank = filterbank(torch.linspace(0, sample_rate // 2, n_fft // 2 + 1), 0.0, 8000.0, n_mels).to(waveform)
    return bank.T.matmul(power).clamp_min(1e-10).log().transpose(0, 1).contiguous()


class SpeechRecognizer(nn.Module):
    def __init__(self, n_mels, hidden_size, vocab_size):
        super().__init__()
        self.lstm = nn.LSTM(n_mels, hidden_size, num_layers=1, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden_size, vocab_size)
        self.normalise = nn.LogSoftmax(dim=2)

    def forward(self, features, lengths):
        lengths, order = lengths.sort(descending=True)
        packed = rnn.pack_padded_sequence(features[order], lengths.tolist(), batch_first=True)
        packed, _ = self.lstm(packed)
        hidden, _ = rnn.pad_packed_sequence(packed, batch_first=True, padding_value=-3.0, total_length=features.size(1))
        return self.normalise(self.fc(hidden[order.argsort()]))


def ctc_greedy_decode(log_probs, lengths, blank=0):
    results = []
    for frames, length in zip(log_probs, lengths, strict=True):
        previous, symbols = None, []
        for t in range(int(length)):
            symbol = int(frames[t].argmax())
            if symbol != previous and symbol != blank:
                symbols.append(symbol)
            previous = symbol
        results.append(symbols)
    return results
