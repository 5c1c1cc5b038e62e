"""045：輸入與目標各自 unfold；預測用 Python 的 list 逐個接上，最後轉回張量。"""

import torch
from torch import nn


def make_windows(series, window: int, horizon: int = 1):
    if series.shape[0] - window - horizon < 0:
        raise ValueError(f"series has {series.shape[0]} values, {window + horizon} are needed")
    return series[:-horizon].unfold(0, window, 1), series[window:].unfold(0, horizon, 1)


class Forecaster(nn.Module):
    def __init__(self, hidden_size: int, horizon: int = 1):
        super().__init__()
        self.hidden_size = hidden_size
        self.lstm = nn.LSTM(1, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, horizon)

    def forward(self, x):
        zeros = x.new_zeros(1, x.size(0), self.hidden_size)
        output, _ = self.lstm(x, (zeros, zeros.clone()))
        return self.fc(output.select(1, output.size(1) - 1))


def forecast(model, history, steps: int):
    mode = model.training
    model.train(False)
    try:
        known = history.tolist()
        made = []
        while len(made) < steps:
            seen = torch.tensor((known + made)[-len(known) :], dtype=history.dtype, device=history.device)
            with torch.no_grad():
                made += model(seen.reshape(1, len(known), 1)).flatten().tolist()
    finally:
        model.train(mode)
    return torch.tensor(made[:steps], dtype=history.dtype, device=history.device)
