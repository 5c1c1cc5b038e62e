"""002 · 將一個 3x3 的張量與其轉置矩陣相乘

題目
    計算 x xᵀ：第 i 列與第 j 列的內積放在 (i, j)，也就是 Gram 矩陣。

        out[..., i, j] = Σ_k x[..., i, k] · x[..., j, k]

    除了 3x3，也要能算長方形的矩陣與一批矩陣：前面的維度都是 batch，只轉置最後兩維。
    網路上常見的 x.T 在二維以外會把所有維度倒過來（新版 torch 會警告，將來會拋出例外），不能用在一批矩陣上。

介面
    matmul_with_transpose(x)
        x 為 (..., m, n) 的浮點數張量，回傳 (..., m, m)，dtype 與 x 相同。
        少於兩維時拋出 ValueError，訊息寫出 x 的維數或形狀。

評分
    形狀  (..., m, n) 得到 (..., m, m)，dtype 不變；batch 為 0 或 n 為 0 時也成立（n 為 0 時結果全為 0）
    數值  3x3、長方形、一維與二維的 batch、非連續的輸入都符合上式
    梯度  gradcheck 通過
    行為  不改動輸入；少於兩維拋出 ValueError
    速度  4096 個 4x8 的矩陣，不超過參考解的 12 倍（用 Python 迴圈逐一相乘，約是 40 倍以上）

範例
    >>> matmul_with_transpose(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[ 5., 11.],
            [11., 25.]])
    >>> matmul_with_transpose(torch.zeros(7, 3, 5)).shape
    torch.Size([7, 3, 3])

面試追問
    1. x xᵀ 一定對稱且半正定，為什麼？秩最多是多少？
    2. x.T、x.mT、x.mH、x.transpose(-2, -1) 差在哪裡？哪些會複製資料？
    3. torch.matmul、torch.mm、torch.bmm 與 einsum 對輸入的維數各有什麼要求？
"""

import torch
from torch import Tensor


def matmul_with_transpose(x: Tensor) -> Tensor:
    """x (..., m, n) -> (..., m, m)。"""
    raise NotImplementedError("TODO 002")
