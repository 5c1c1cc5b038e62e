"""052 · 語音識別：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def log_mel(
    waveform: Tensor, *, sample_rate: int = 16000, n_fft: int = 400, hop_length: int = 160, n_mels: int = 40
) -> Tensor:
    """waveform (T,) -> (1 + T // hop_length, n_mels)。"""
    window = torch.hann_window(n_fft, dtype=waveform.dtype, device=waveform.device)  # 預設就是 periodic
    spectrum = torch.stft(waveform, n_fft, hop_length, window=window, pad_mode="reflect", return_complex=True)
    power = spectrum.abs().square()
    filters = _mel_filters(sample_rate, n_fft, n_mels).to(power)
    return (power.T @ filters).clamp(min=1e-10).log()


def _mel_filters(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """(n_fft // 2 + 1, n_mels) 的三角濾波器；以 float64 計算，免得低頻的窄三角形失準。"""
    frequencies = (torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft).unsqueeze(1)
    top = 2595 * torch.log10(torch.tensor(1 + 8000 / 700, dtype=torch.float64))
    points = 700 * (10 ** (torch.linspace(0, 1, n_mels + 2, dtype=torch.float64) * top / 2595) - 1)
    low, center, high = points[:-2], points[1:-1], points[2:]
    up, down = (frequencies - low) / (center - low), (high - frequencies) / (high - center)
    return torch.minimum(up, down).clamp(min=0)


class SpeechRecognizer(nn.Module):
    def __init__(self, n_mels: int, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(n_mels, hidden_size, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden_size, vocab_size)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """features (B, T, n_mels)、lengths (B,) -> log 機率 (B, T, vocab_size)。"""
        # 雙向的 LSTM 一定要 pack：否則反向那一半會先讀補的 frame，再讀真的。
        packed = pack_padded_sequence(features, lengths.cpu(), batch_first=True, enforce_sorted=False)
        out, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=features.shape[1])
        return F.log_softmax(self.fc(out), dim=-1)


def ctc_greedy_decode(log_probs: Tensor, lengths: Tensor, blank: int = 0) -> list[list[int]]:
    """log_probs (B, T, V)、lengths (B,) -> 每段的字元編號，先合併連續相同的，再去掉 blank。"""
    best = log_probs.argmax(dim=-1)
    decoded = []
    for row, length in zip(best, lengths.tolist(), strict=True):
        merged = row[:length].unique_consecutive()
        decoded.append(merged[merged != blank].tolist())
    return decoded
