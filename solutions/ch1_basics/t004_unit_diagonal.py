"""004 · 創建一個 4x4 張量，將其所有元素設置為 0，但對角線元素設置為 1：參考解"""

import torch
from torch import Tensor


def unit_diagonal(
    n: int = 4, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """-> (n, n)，對角線為 1，其餘為 0。"""
    return torch.eye(n, dtype=dtype, device=device)


def set_unit_diagonal_(x: Tensor, offset: int = 0) -> Tensor:
    """x (..., m, n) 就地改寫，回傳 x。"""
    if x.dim() < 2:
        raise ValueError(f"x 至少要有兩維，得到 {x.dim()} 維（形狀 {tuple(x.shape)}）")
    x.zero_()  # 不是 x *= 0：那會留下 NaN
    # diagonal 是 view，寫進它就是寫進 x，不論 x 是不是連續的；預設取前兩維，所以要指定最後兩維。
    x.diagonal(offset, dim1=-2, dim2=-1).fill_(1)
    return x
