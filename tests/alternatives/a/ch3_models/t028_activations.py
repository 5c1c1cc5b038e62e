"""028：自訂 autograd.Function，反向只留 x。"""

import math

import torch
from torch import nn


class _Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, beta):
        ctx.save_for_backward(x, beta)
        return x * torch.sigmoid(beta.to(x.dtype) * x)

    @staticmethod
    def backward(ctx, grad):
        x, beta = ctx.saved_tensors
        b = beta.to(x.dtype)
        s = torch.sigmoid(b * x)
        slope = s * (1 - s) * x
        return grad * (s + b * slope), (grad * slope * x).sum().to(beta.dtype)


class Swish(nn.Module):
    def __init__(self, beta: float = 1.0, learnable: bool = False) -> None:
        super().__init__()
        value = torch.as_tensor(beta, dtype=torch.get_default_dtype())
        if learnable:
            self.beta = nn.Parameter(value)
        else:
            self.register_buffer("beta", value)

    def forward(self, x):
        return _Swish.apply(x, self.beta)


class _Gelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 0.5 * torch.erfc(-x * math.sqrt(0.5))

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        cdf = 0.5 * torch.erfc(-x * math.sqrt(0.5))
        return grad * (cdf + x * torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


class GELU(nn.Module):
    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate == "none":
            self.act = _Gelu.apply
        elif approximate == "tanh":
            self.act = lambda x: x * torch.sigmoid(2 * math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x))
        else:
            raise ValueError(f"unknown approximate: {approximate}")

    def forward(self, x):
        return self.act(x)
