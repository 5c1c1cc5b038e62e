"""028 · 自定義的激活函數，如 Swish 或 GELU

題目
    自己寫兩個激活函數，逐元素作用在任意形狀的輸入上：

        Swish(x) = x · sigmoid(β · x)                β = 1 時才是 SiLU
        GELU(x)  = x · Φ(x)，Φ 是標準常態的累積分布函數
                 = x / 2 · (1 + erf(x / √2))                                  approximate="none"
                 ≈ x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))          approximate="tanh"

    許多文章把 tanh 式當成 GELU 的定義；那只是近似，與 erf 的定義最多差約 5e-4，載入別人的權重時要分清楚。
    x 很大或很小時也要算得對：exp 在 float32 超過 89 就是 inf，inf / inf 與 0 · inf 都是 NaN。

介面
    Swish(beta=1.0, learnable=False)
        learnable=True 時 beta 是 0 維的參數，名稱就是 beta，初值為所給的值；否則這個模組沒有任何參數。
    GELU(approximate="none")
        approximate 為 "none" 或 "tanh"，否則在建構時拋出 ValueError，訊息含該值。
    forward(x)
        x 的維度不限，可以是空的，記憶體可以不連續。輸出與 x 同形、同 dtype；
        learnable 的 beta 是 float32 而 x 是別的 dtype 時也一樣，不必先轉換模組（0 維的 bfloat16 除外）。

評分
    形狀  float32、float64、bfloat16 的輸入，輸出與輸入同形、同 dtype；0 維與空的輸入也是
    數值  兩個函數、各種 β（含負數與 0）、兩種 approximate 都符合上式；預設是 β = 1 與 "none"
    梯度  對 x 與 beta 的 gradcheck 通過；x 為 ±100、±1e4 時，三種 dtype 的輸出與梯度都正確，不是 NaN 或 inf
    行為  learnable 決定 beta 是不是參數；不改動輸入；不合法的 approximate 拋出 ValueError
    速度  兩個函數各一百萬個元素的前向與反向，不超過參考解的 60 倍（逐元素的迴圈慢一萬倍）
    禁用  F.silu、F.gelu、nn.SiLU、nn.GELU，以及它們底下的 aten::silu、aten::gelu

範例
    >>> Swish(beta=2.0)(torch.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1192,  0.0000,  0.8808])
    >>> GELU()(torch.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    >>> Swish(beta=0.5, learnable=True).beta
    Parameter containing:
    tensor(0.5000, requires_grad=True)

面試追問
    1. β 趨近 0 與趨近無限大時，Swish 各變成什麼函數？
    2. 照式子寫，反向傳播要留下幾個與 x 同大的張量？怎麼改成只留 x？
    3. 換成 float16，tanh 式在 x = 200 的梯度會是什麼？為什麼 bfloat16 沒有這個問題？
"""

import math

import torch
from torch import Tensor, nn


class Swish(nn.Module):
    def __init__(self, beta: float = 1.0, learnable: bool = False) -> None:
        super().__init__()
        raise NotImplementedError("TODO 028")

    def forward(self, x: Tensor) -> Tensor:
        """x (*) -> 同形、同 dtype。"""
        raise NotImplementedError("TODO 028")


class GELU(nn.Module):
    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        raise NotImplementedError("TODO 028")

    def forward(self, x: Tensor) -> Tensor:
        """x (*) -> 同形、同 dtype。"""
        raise NotImplementedError("TODO 028")
