"""048 · another style: var_mean, one affine map, functional statistics."""

import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        if affine:
            self.weight = nn.Parameter(torch.empty(num_features))
            self.bias = nn.Parameter(torch.empty(num_features))
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)
        else:
            self.register_parameter("weight", None)
            self.register_parameter("bias", None)
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        channels = x.size(1)
        if channels != self.num_features:
            raise ValueError(f"expected {self.num_features} channels, got {channels}")
        axes = tuple(d for d in range(x.ndim) if d != 1)
        if self.training:
            count = x.numel() / channels
            if count == 1:
                raise ValueError(f"more than one value per channel is needed in training, got input {list(x.shape)}")
            var, mean = torch.var_mean(x, axes, correction=0)
            with torch.no_grad():
                self.num_batches_tracked = self.num_batches_tracked + 1
                rate = self.momentum
                if rate is None:
                    rate = 1.0 / float(self.num_batches_tracked)
                self.running_mean = (1 - rate) * self.running_mean + rate * mean
                self.running_var = (1 - rate) * self.running_var + rate * var * count / (count - 1)
        else:
            mean, var = self.running_mean, self.running_var
        slope = (var + self.eps) ** -0.5
        if self.affine:
            slope = slope * self.weight
        offset = -mean * slope
        if self.affine:
            offset = offset + self.bias
        shape = [1] * x.ndim
        shape[1] = channels
        return x * slope.view(shape) + offset.view(shape)
