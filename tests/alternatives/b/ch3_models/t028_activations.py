"""028：用 tanh 寫 sigmoid，用常態分布的 cdf 寫 GELU。"""

import torch
from torch import nn
from torch.distributions import Normal


class Swish(nn.Module):
    def __init__(self, beta: float = 1.0, learnable: bool = False) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.full((), beta), requires_grad=True) if learnable else torch.tensor(beta)

    def forward(self, x):
        return x / 2 * (1 + torch.tanh(self.beta * x / 2))


class GELU(nn.Module):
    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        forms = {"none": self._exact, "tanh": self._tanh}
        if approximate not in forms:
            raise ValueError(f"approximate={approximate!r} is not one of {list(forms)}")
        self.form = forms[approximate]

    @staticmethod
    def _exact(x):
        return x * Normal(0.0, 1.0, validate_args=False).cdf(x)

    @staticmethod
    def _tanh(x):
        c = (2 / torch.pi) ** 0.5
        return 0.5 * (x + x * torch.tanh(c * x + c * 0.044715 * torch.pow(x, 3)))

    def forward(self, x):
        return self.form(x)
