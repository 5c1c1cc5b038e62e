"""008 · 歐幾里得距離：參考解"""

import torch
from torch import Tensor


def euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """a (*)、b (*) 同形 -> 純量。"""
    if a.shape != b.shape:
        raise ValueError(f"a 與 b 的形狀應相同，得到 {tuple(a.shape)} 與 {tuple(b.shape)}")
    return torch.linalg.vector_norm(a - b)  # 在 0 的梯度定為 0；自己寫 .square().sum().sqrt() 會得到 NaN


def pairwise_distances(x: Tensor, y: Tensor) -> Tensor:
    """x (n, d)、y (m, d) -> (n, m)。"""
    if x.dim() != 2 or y.dim() != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"x 與 y 的形狀應為 (n, d) 與 (m, d)，得到 {tuple(x.shape)} 與 {tuple(y.shape)}")
    # 先相減再平方：展開成 |x|² + |y|² − 2xᵀy 會在遠離原點時抵消掉所有有效位數。
    return torch.linalg.vector_norm(x[:, None] - y, dim=-1)
