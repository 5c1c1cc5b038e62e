"""091 · 模型的梯度檢查（Gradient Checking）

題目
    自己寫的 backward（torch.autograd.Function）對不對，可以用數值微分來驗：

        numerical_gradient    每個元素各自前後推一小步，取中央差分
                              g[i] = (f(x + eps·e_i) − f(x − eps·e_i)) / (2·eps)
        check_gradient        autograd 的梯度 a 與數值梯度 g 逐個元素比較，全部都要
                              |a − g| ≤ atol + rtol·|g|

    單邊的差分 (f(x + eps) − f(x)) / eps 誤差與 eps 成正比，中央差分則是 eps²。f 要在 float64 下計算：
    float32 只有七位有效數字，1e-6 的一步會淹沒在捨入誤差裡。
    網路上常見的比法是整個向量的相對誤差 ‖a − g‖ / (‖a‖ + ‖g‖)：大的元素會蓋掉小元素的錯。

介面
    numerical_gradient(f, x, eps=1e-6)
        x 是任意形狀的 float32 或 float64 張量，可以不連續。一律提升成 float64 再交給 f（f 的 dtype 跟著輸入走，
        收到的形狀同 x）。傳回值的形狀同 x。
    check_gradient(f, x, *, rtol=1e-4, atol=1e-6)
        兩個梯度都在提升成 float64 的 x 上求；傳回 Python 的 bool。
    f(x) 是純量張量，連著 x 的計算圖。f 傳回三個元素之類的非純量時，兩個函式都拋出 ValueError，
    訊息寫出 f(x) 的形狀或元素個數。

評分
    形狀  numerical_gradient 的形狀同 x：純量、一個元素、多維
    數值  預設的 eps 下，平滑函數的梯度誤差 1e-7 以內：float64、float32、不連續的 x；只取 x 的一個元素的函數也是
          eps 照上式使用；算的是 f 的差分，不受 f 的 backward 影響
    行為  backward 正確的 Function 傳回 True；差一個倍數、正負號、排錯位置、少一項、有 NaN 的傳回 False
          梯度很大（1e6）或有元素幾乎是 0（1e-9）時，正確的仍是 True；大的元素旁邊小元素的錯也要看得出來
          rtol、atol 各自有作用；非純量的 f 拋出 ValueError
          x 的每一個位元、requires_grad、grad 都和原來一樣
    禁用  torch.autograd.gradcheck、torch.func.jacfwd

範例
    >>> x = torch.tensor([1.0, 2.0])
    >>> [round(g, 5) for g in numerical_gradient(lambda t: (t**3).sum(), x).tolist()]
    [3.0, 12.0]
    >>> check_gradient(lambda t: (t**3).sum(), x)
    True

面試追問
    1. eps 太大、太小各有什麼誤差？float64 的中央差分為什麼大約在 1e-5 到 1e-6 最準？
    2. ReLU、max 在轉折點附近為什麼會誤報？f 裡有 dropout 或 batch norm 時要注意什麼？
    3. 參數有一百萬個時，不可能逐個元素推，怎麼用幾個隨機方向來檢查？
"""

from collections.abc import Callable

import torch
from torch import Tensor


def numerical_gradient(f: Callable[[Tensor], Tensor], x: Tensor, eps: float = 1e-6) -> Tensor:
    """x (*) -> (*)：純量函數 f 在 x 的中央差分，在 float64 下計算。"""
    raise NotImplementedError("TODO 091")


def check_gradient(f: Callable[[Tensor], Tensor], x: Tensor, *, rtol: float = 1e-4, atol: float = 1e-6) -> bool:
    """autograd 對 f 在 x 的梯度，是否與數值微分相符。"""
    raise NotImplementedError("TODO 091")
