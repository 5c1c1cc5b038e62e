"""028 · Swish 與 GELU：參考解"""

import math

import torch
from torch import Tensor, nn


class Swish(nn.Module):
    def __init__(self, beta: float = 1.0, learnable: bool = False) -> None:
        super().__init__()
        # 0 維的張量不參與 dtype 提升：float32 的 beta 乘上 bfloat16 的 x 仍是 bfloat16，形狀 (1,) 就不是了。
        self.beta = nn.Parameter(torch.tensor(float(beta))) if learnable else beta

    def forward(self, x: Tensor) -> Tensor:
        """x (*) -> 同形、同 dtype。"""
        # 不寫成 x / (1 + exp(−βx))：exp 溢位後，前向碰巧是 0，反向卻是 0 · inf = NaN。
        return x * torch.sigmoid(self.beta * x)


class GELU(nn.Module):
    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate 必須是 'none' 或 'tanh'，得到 {approximate!r}")
        self.approximate = approximate

    def forward(self, x: Tensor) -> Tensor:
        """x (*) -> 同形、同 dtype。"""
        if self.approximate == "tanh":
            inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
            return 0.5 * x * (1 + torch.tanh(inner))
        return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
