"""045：as_strided 切視窗；LSTM 取 h_n；預測先算好要幾段，不碰模型的模式。"""

import math

import torch
from torch import nn


def make_windows(series, window: int, horizon: int = 1):
    n, step = series.numel(), series.stride(0)
    m = n - window - horizon + 1
    if m <= 0:
        raise ValueError(f"序列太短（N = {n}）")
    start = series.storage_offset()
    inputs = series.as_strided((m, window), (step, step), start)
    targets = series.as_strided((m, horizon), (step, step), start + window * step)
    return inputs, targets


class Forecaster(nn.Module):
    def __init__(self, hidden_size: int, horizon: int = 1):
        super().__init__()
        self.lstm = nn.LSTM(input_size=1, hidden_size=hidden_size, num_layers=1, batch_first=True)
        self.fc = nn.Linear(in_features=hidden_size, out_features=horizon)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.fc(h[-1])


def forecast(model, history, steps: int):
    window = history.detach().clone()[None, :, None]
    first, parts = None, []
    with torch.inference_mode():
        while first is None or len(parts) < math.ceil(steps / first):
            prediction = model(window)
            first = prediction.shape[1]
            parts.append(prediction[0])
            window = torch.cat([window[:, first:], prediction[:, :, None]], dim=1)
    return torch.cat(parts)[:steps].clone()
