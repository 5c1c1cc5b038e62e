"""005 · 計算 y = x³ + 2x² − 5x + 1 的梯度

題目
    寫出多項式，再用 autograd 求它對 x 的導數，逐元素計算：

        y = x³ + 2x² − 5x + 1        dy/dx = 3x² + 4x − 5

    x = 2 時 dy/dx = 3·4 + 4·2 − 5 = 15。網路上流傳的一份解答寫 23，那是錯的。

    梯度必須由微分 polynomial 得到，不能把導數的公式寫死：評分時會把你的 polynomial 換成別的逐元素函式，
    polynomial_gradient 要跟著得到新函式的導數。這也是一個乾淨的函式，不在 x 上留下任何痕跡。

介面
    polynomial(x)
        浮點數張量 (*) -> y (*)，可以微分。
    polynomial_gradient(x)
        浮點數張量 (*) -> dy/dx (*)，dtype 與 x 相同，不帶計算圖（requires_grad 為 False）。
        呼叫的當下，模組裡名為 polynomial 的函式是什麼，就微分什麼。
        x 可以是任何形狀，需不需要梯度都行，也可以是計算圖中間的結果；在 torch.no_grad() 裡也能用。
        整數張量不能微分：拋出 TypeError，訊息寫出 dtype。

評分
    形狀  純量、一維到三維：梯度與 x 同形、同 dtype（float32、float64）
    數值  polynomial 的值；x = 2 的梯度是 15；任何形狀的每個元素都符合上式
    梯度  換成別的函式後，得到新函式的導數：autograd 的導數（detach 過的部分是常數），不是差分
    行為  連續兩次呼叫結果相同（不累加）；x 的值、grad、requires_grad 與計算圖不變，x 已有 grad 時也是；
          結果不帶計算圖；在 torch.no_grad() 裡可用；整數張量拋出 TypeError

範例
    >>> polynomial(torch.tensor(2.0))
    tensor(7.)
    >>> polynomial_gradient(torch.tensor([0.0, 1.0, 2.0]))
    tensor([-5.,  2., 15.])

面試追問
    1. backward() 與 torch.autograd.grad 差在哪裡？為什麼前者會累加？
    2. y 不是純量時，autograd 算的是什麼？y.sum() 為什麼剛好得到逐元素的導數，換成矩陣乘法還成立嗎？
    3. 要二階導數時該怎麼改？create_graph 與 retain_graph 各做什麼？
"""

import torch
from torch import Tensor


def polynomial(x: Tensor) -> Tensor:
    """x (*) -> x³ + 2x² − 5x + 1 (*)。"""
    raise NotImplementedError("TODO 005")


def polynomial_gradient(x: Tensor) -> Tensor:
    """x (*) -> dy/dx (*)，由微分 polynomial 得到。"""
    raise NotImplementedError("TODO 005")
