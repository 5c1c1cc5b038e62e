"""053 · 訓練一個簡單的線性回歸模型

題目
    線性回歸：ŷ = x wᵀ + b，讓 MSE（N 個樣本的平方誤差的平均）最小。寫兩種解法：

        fit_linear    梯度下降。每個 epoch 用全部的樣本更新一步：(w, b) ← (w, b) − lr · ∇MSE，沒有 momentum
        closed_form   直接求最小平方解，b 也是未知數

    教科書的公式 (XᵀX)⁻¹Xᵀy 照抄會出問題：XᵀX 的條件數是 X 的平方，而且有兩個特徵相同時根本不可逆。
    這時最小平方解不只一組，但預測值 x wᵀ + b 仍然唯一，closed_form 要給得出來。

介面
    fit_linear(x, y, *, lr=0.01, epochs=100)
        x 為 (N, D)、y 為 (N,) 或 (N, 1)，都是 float32；y 的兩種形狀結果相同。
        模型由全域亂數初始化，就是 nn.Linear(D, 1) 剛建立的樣子：先在 CPU 建立，再移到 x 的裝置。
        傳回 (模型, losses)：losses 是長度 epochs 的 list，第 i 項是第 i 步更新之前的 MSE，Python 的 float。
        epochs 為 0 時傳回剛建立的模型與空的 list。
    closed_form(x, y)
        x 為 (N, D)、y 為 (N,) 或 (N, 1)，float32 或 float64。
        傳回 (weight, bias)：形狀 (1, D) 與 (1,)，dtype 與裝置都同 x，放得進 nn.Linear(D, 1)。

評分
    形狀  fit_linear 傳回 nn.Linear 與 list；closed_form 的形狀與 dtype
    數值  epochs = 0 時是全域亂數下的 nn.Linear(D, 1)；從那裡出發，每一步的損失與權重都等於手算，
          y 的兩種形狀都是；lr 與 epochs 的預設值；步數夠多時收斂到最小平方解；
          closed_form 在真實的糖尿病資料（未縮放的原始單位）與有相同特徵的 x 上，預測值等於最小平方解
    行為  不改動 x、y

範例
    >>> x = torch.linspace(-1, 1, 20).reshape(20, 1)
    >>> weight, bias = closed_form(x, 3 * x + 2)
    >>> round(weight.item(), 4), round(bias.item(), 4)
    (3.0, 2.0)
    >>> model, losses = fit_linear(x, 3 * x + 2, lr=0.5, epochs=200)
    >>> torch.allclose(model.weight, weight, atol=1e-4), len(losses)
    (True, 200)

面試追問
    1. 學習率要小於多少才會收斂？它與 XᵀX 的特徵值有什麼關係，為什麼先標準化特徵會快很多？
    2. (N, 1) 的預測減 (N,) 的 y 會得到什麼？損失為什麼照樣下降，最後學到什麼？
    3. QR、SVD、Cholesky 都能解最小平方，精確度與速度各如何？N 或 D 很大時呢？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fit_linear(x: Tensor, y: Tensor, *, lr: float = 0.01, epochs: int = 100) -> tuple[nn.Linear, list[float]]:
    """x (N, D)、y (N,) 或 (N, 1) -> 訓練好的 nn.Linear(D, 1)，與每一步更新之前的 MSE。"""
    raise NotImplementedError("TODO 053")


def closed_form(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, D)、y (N,) 或 (N, 1) -> 最小平方解的 weight (1, D)、bias (1,)。"""
    raise NotImplementedError("TODO 053")
