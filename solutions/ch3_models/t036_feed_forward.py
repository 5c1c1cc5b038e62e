"""036 · 前饋網路與手算的梯度：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FeedForward(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.fc2 = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, input_size) -> logits (N, output_size)。"""
        return self.fc2(F.relu(self.fc1(x)))


@torch.no_grad()
def manual_gradients(
    x: Tensor, labels: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """平均 cross entropy，與它對 w1 (H, D)、b1 (H,)、w2 (C, H)、b2 (C,) 的梯度；不用 autograd。"""
    n, rows = len(x), torch.arange(len(x), device=x.device)
    hidden = (x @ w1.T + b1).clamp(min=0)
    log_p = torch.log_softmax(hidden @ w2.T + b2, dim=1)  # 內部先減去每列的最大值，不會溢位
    loss = -log_p[rows, labels].mean()

    d_logits = log_p.exp()
    d_logits[rows, labels] -= 1
    d_logits /= n  # 平均的 1/N 只在這裡出現一次，往回推時自然帶著
    d_hidden = d_logits @ w2 * (hidden > 0)  # hidden > 0 就是 ReLU 的輸入 > 0
    return loss, (d_hidden.T @ x, d_hidden.sum(0), d_logits.T @ hidden, d_logits.sum(0))
