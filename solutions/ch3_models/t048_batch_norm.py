"""048 · 批正規化：參考解"""

import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C)、(N, C, L) 或 (N, C, H, W) -> 同形。"""
        if x.shape[1] != self.num_features:
            raise ValueError(f"應有 {self.num_features} 個 channel，得到 {x.shape[1]}")
        dims = [0, *range(2, x.dim())]
        column = (-1,) + (1,) * (x.dim() - 2)  # (C,) 依此 reshape 就能與 x 廣播
        if self.training:
            n = x.numel() // x.shape[1]
            if n < 2:
                raise ValueError(f"訓練時每個 channel 要有兩個以上的值，輸入的形狀是 {tuple(x.shape)}")
            mean = x.mean(dims)
            centered = x - mean.view(column)
            # 先減平均再平方：E[x²] − E[x]² 在平均很大時會把有效位數消光。
            var = centered.square().mean(dims)
            self._track(mean.detach(), var.detach() * (n / (n - 1)))
        else:
            centered, var = x - self.running_mean.view(column), self.running_var
        scale = torch.rsqrt(var + self.eps)
        if self.weight is None:
            return centered * scale.view(column)
        # 先在 (C,) 上相乘，比在整個 x 上多乘一次省下一趟讀寫。
        return centered * (scale * self.weight).view(column) + self.bias.view(column)

    def _track(self, mean: Tensor, var: Tensor) -> None:
        self.num_batches_tracked += 1
        momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(var, momentum)
