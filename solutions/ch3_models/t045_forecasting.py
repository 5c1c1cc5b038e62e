"""045 · 時間序列預測：參考解"""

import torch
from torch import Tensor, nn


def make_windows(series: Tensor, window: int, horizon: int = 1) -> tuple[Tensor, Tensor]:
    """series (N,) -> inputs (M, window)、targets (M, horizon)，M = N − window − horizon + 1；都是 series 的 view。"""
    if len(series) < window + horizon:
        raise ValueError(f"長度 {len(series)} 的序列不夠一個樣本：window {window} 加 horizon {horizon}")
    blocks = series.unfold(0, window + horizon, 1)  # 輸入與目標合成一塊再切開，兩者就不會錯開
    return blocks[:, :window], blocks[:, window:]


class Forecaster(nn.Module):
    def __init__(self, hidden_size: int, horizon: int = 1) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, horizon)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, 1) -> (B, horizon)。"""
        out, _ = self.lstm(x)
        return self.fc(out[:, -1])


@torch.no_grad()
def forecast(model: nn.Module, history: Tensor, steps: int) -> Tensor:
    """history (T,) -> 接下來的 steps 個預測 (steps,)。"""
    training = model.training
    model.eval()
    values = history
    while len(values) < len(history) + steps:
        latest = values[-len(history) :]
        values = torch.cat([values, model(latest.view(1, -1, 1)).view(-1)])
    model.train(training)
    return values[len(history) : len(history) + steps]
