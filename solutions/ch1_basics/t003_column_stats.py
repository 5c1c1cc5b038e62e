"""003 · 隨機初始化的 5x5 張量，並對每列計算均值和標準差：參考解"""

import torch
from torch import Tensor


def random_matrix(rows: int = 5, cols: int = 5, *, generator: torch.Generator | None = None) -> Tensor:
    """-> (rows, cols)，[0, 1) 上均勻分布。"""
    return torch.rand(rows, cols, generator=generator)


def column_stats(x: Tensor) -> tuple[Tensor, Tensor]:
    """x (rows, cols) -> mean (cols,)、std (cols,)。"""
    if x.shape[0] < 2:
        raise ValueError(f"樣本標準差至少要有兩列，得到形狀 {tuple(x.shape)}")
    # std_mean 先減去均值再平方，不會像 E[x²] − E[x]² 那樣抵消；注意它先回傳 std。預設的 correction=1 即除以 n − 1。
    std, mean = torch.std_mean(x, dim=0)
    return mean, std
