"""048 · another style: channels moved last, everything on an (n, C) matrix, the textbook's steps."""

import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True) -> None:
        super().__init__()
        self.c, self.eps, self.momentum = num_features, eps, momentum
        self.register_parameter("weight", nn.Parameter(torch.ones(num_features)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(num_features)) if affine else None)
        for name, value in {"running_mean": torch.zeros(self.c), "running_var": torch.ones(self.c)}.items():
            self.register_buffer(name, value)
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != self.c:
            raise ValueError(f"C = {x.shape[1]}, num_features = {self.c}")
        rows = x.movedim(1, -1)
        flat = rows.reshape(-1, self.c)
        if self.training:
            if len(flat) == 1:
                raise ValueError(f"one value per channel: {x.shape}")
            mean, var = flat.mean(0), flat.var(0, unbiased=False)
            self.update(flat.detach())
        else:
            mean, var = self.running_mean, self.running_var
        out = (flat - mean) / torch.sqrt(var + self.eps)
        if self.weight is not None:
            out = out * self.weight + self.bias
        return out.view(rows.shape).movedim(-1, 1)

    @torch.no_grad()
    def update(self, flat: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        m = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked
        self.running_mean.copy_((1 - m) * self.running_mean + m * flat.mean(0))
        self.running_var.copy_((1 - m) * self.running_var + m * flat.var(0))
