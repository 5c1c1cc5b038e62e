"""010 · 自動求導，計算 y = sin(x) 在 x = π/4 處的梯度

題目
    以 autograd 求 sin 在任意點的導數（在 π/4 是 √2/2），再寫一個通用的函式：逐元素函數 f 的第 n 階導數。

    高階導數是「對梯度再求梯度」，所以第一次求的時候就要留下計算圖（create_graph=True）。多項式微幾次之後成為常
    數，它不再連著 x，這時 torch.autograd.grad 會拋出例外；導數其實是 0。

介面
    sine_gradient(x)
        x 是任意形狀的浮點 tensor。以 autograd 求 sin 在每個元素的導數（不要直接寫 cos），形狀與 dtype 同 x。
    nth_derivative(f, x, order)
        f 逐元素作用：f(x) 與 x 同形，第 i 個輸出只看第 i 個輸入；它可以根本不理會 x。傳回 f 的第 order 階導數在 x
        的值，形狀與 dtype 同 x；order 為 0 時就是 f(x)。order 為負數時拋出 ValueError，訊息要寫出那個數。

評分
    形狀  結果的形狀與 dtype 同 x（純量、多維、float32、float64）
    數值  float64 下 sin 到第 6 階誤差 1e-10 以內；評分程式自己的函數（指數、分式等）同樣準確
          x³ 的第 4 階、常數函數與恆等函數的高階導數都是 0
    行為  x 維持原樣：數值、requires_grad、grad 都不變；x 是別人計算圖裡的中間結果時，也不動到上游的 grad
          結果不帶計算圖（requires_grad 為 False），order 為 0 時也一樣
          sine_gradient 確實以 autograd 微分 sin：評分時把 sin 換成別的函數，就得到那個函數的導數
          order 為負數時拋出 ValueError

範例
    >>> sine_gradient(torch.tensor(torch.pi / 4))
    tensor(0.7071)
    >>> nth_derivative(lambda t: t**3, torch.tensor([1.0, 2.0]), 2)
    tensor([ 6., 12.])

面試追問
    1. retain_graph=True 與 create_graph=True 差在哪裡？
    2. 為什麼反覆呼叫 y.backward() 而不清零，x.grad 會累積？
    3. 求一個純量函數的 Hessian 對角線，要做幾次反向？前向模式（jvp）呢？
"""

from collections.abc import Callable

import torch
from torch import Tensor


def sine_gradient(x: Tensor) -> Tensor:
    """x (*) -> (*)：d sin(x) / dx，逐元素。"""
    raise NotImplementedError("TODO 010")


def nth_derivative(f: Callable[[Tensor], Tensor], x: Tensor, order: int) -> Tensor:
    """x (*) -> (*)：f 的第 order 階導數，逐元素。"""
    raise NotImplementedError("TODO 010")
