"""028：special.ndtr 與對數域的 sigmoid。"""

import torch
import torch.nn.functional as F
from torch import nn


class Swish(nn.Module):
    def __init__(self, beta: float = 1.0, learnable: bool = False) -> None:
        super().__init__()
        if learnable:
            self.register_parameter("beta", nn.Parameter(torch.tensor(beta, dtype=torch.float32)))
        else:
            self.beta = float(beta)

    def forward(self, x):
        return torch.mul(x, torch.exp(F.logsigmoid(x * self.beta)))


class GELU(nn.Module):
    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        match approximate:
            case "none" | "tanh":
                self.approximate = approximate
            case other:
                raise ValueError(f"bad approximate {other}")

    def forward(self, x):
        if self.approximate == "none":
            return x * torch.special.ndtr(x)
        return x.mul(0.5).mul(1.0 + (0.7978845608028654 * (x + 0.044715 * x * x * x)).tanh())
