"""004 · 創建一個 4x4 張量，將其所有元素設置為 0，但對角線元素設置為 1

題目
    兩件看似相同的事：建立一個新的張量，與就地（in place）改寫一個已經存在的張量。

        set_unit_diagonal_(x, k) 之後：  x[..., i, i + k] = 1，其餘全為 0

    就地改寫時，x 可能是別的張量的 view（轉置、切片），可能是一批矩陣，也可能不是方陣。
    x.fill_diagonal_(1, wrap=True) 與「每隔 n + 1 個元素填 1」在高的矩陣上會從頭再繞一次，那不是這裡的對角線。
    x *= 0 不能清掉 NaN 與 inf：NaN · 0 與 inf · 0 都是 NaN。

介面
    unit_diagonal(n=4, *, dtype=torch.float32, device=None)
        新的 (n, n) 張量：對角線為 1，其餘為 0。device 為 None 時在預設的裝置上。
    set_unit_diagonal_(x, offset=0)
        就地改寫 (..., m, n) 的 x 並回傳 x 本身。offset 的意義與 torch.diagonal 相同（對最後兩維）：
        正的在主對角線上方，負的在下方；超出矩陣範圍時沒有對角線，全部是 0。
        少於兩維時拋出 ValueError，訊息寫出 x 的維數或形狀。

評分
    形狀  unit_diagonal 的大小（預設 4，也包含 1 與 0）、dtype（浮點數、整數、bool、複數）
    數值  兩個函式的值；offset 為正、為負、超出範圍；寬的與高的矩陣（不繞回）；一維與二維的 batch；float64 與 int64
    行為  unit_diagonal 每次回傳新的張量；用上 device：不存在的裝置由 torch 拋出例外；
          set_unit_diagonal_ 回傳 x 本身，x 的記憶體不變；轉置與切片的 view 寫進原來的張量，view 以外的元素不變；
          原有的 NaN 與 inf 也清掉；少於兩維拋出 ValueError

範例
    >>> unit_diagonal(2, dtype=torch.int64)
    tensor([[1, 0],
            [0, 1]])
    >>> x = torch.full((2, 3), 7.0)
    >>> set_unit_diagonal_(x, offset=1) is x
    True
    >>> x
    tensor([[0., 1., 0.],
            [0., 0., 1.]])

面試追問
    1. torch.diagonal 回傳 view，torch.diag 卻不一定；怎麼分辨一個函式回傳的是 view 還是新的張量？
    2. 對需要梯度的 leaf 就地寫入會發生什麼事？為什麼 autograd 要記錄 version counter？
    3. 怎麼用這個對角線做 causal mask，或替 attention 遮掉「看自己」？
"""

import torch
from torch import Tensor


def unit_diagonal(
    n: int = 4, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """-> (n, n)，對角線為 1，其餘為 0。"""
    raise NotImplementedError("TODO 004")


def set_unit_diagonal_(x: Tensor, offset: int = 0) -> Tensor:
    """x (..., m, n) 就地改寫，回傳 x。"""
    raise NotImplementedError("TODO 004")
