"""030 · 簡單的 RNN：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def rnn_forward(x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> tuple[Tensor, Tensor]:
    """x (B, T, I)、h0 (B, H)、w_ih (H, I)、w_hh (H, H)、b_ih (H)、b_hh (H) -> (B, T, H)、(B, H)。"""
    # 與 h 無關的部分一次算完：一個大矩陣乘法，比 T 個小的快。
    from_input = F.linear(x, w_ih, b_ih + b_hh)
    h, steps = h0, []
    for a in from_input.unbind(1):
        h = torch.tanh(a + h @ w_hh.T)
        steps.append(h)
    return torch.stack(steps, dim=1), h


class SimpleRNN(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(input_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, input_size) -> (B, output_size)。"""
        out, _ = self.rnn(x)
        return self.fc(out[:, -1])
