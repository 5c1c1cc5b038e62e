"""036 · 簡單的前饋神經網路，包括一個隱藏層

題目
    先用 nn.Module 寫一個隱藏層的分類網路，再不靠 autograd，自己推導它的梯度：

        h = relu(x @ w1ᵀ + b1)，  logits = h @ w2ᵀ + b2
        loss = −mean(log softmax(logits)[i, labels_i])

    對 logits 的梯度是 (softmax(logits) − onehot(labels)) / N，其餘由連鎖律往回推。

    注意三件事：nn.Linear 的 weight 是 (out, in)，許多文章的公式寫的是它的轉置；ReLU 看的是「進去」的值，
    在 0 的導數取 0（torch 的慣例）；exp(logits) 在 float32 過了 88 就溢位，要先減去每列的最大值。

介面
    FeedForward(input_size, hidden_size, output_size)
        屬性 fc1、fc2 是兩個 nn.Linear（有 bias），沒有其他參數。
    forward(x)
        x (N, input_size) -> logits (N, output_size)。
    manual_gradients(x, labels, w1, b1, w2, b2)
        x (N, D)、labels (N,) 的 int64、w1 (H, D)、b1 (H,)、w2 (C, H)、b2 (C,)；浮點數同一個 dtype，權重可能是
        requires_grad 的 nn.Parameter。不改動輸入，也不寫入它們的 grad。
        傳回 (loss, (dw1, db1, dw2, db2))：純量，與各自和權重同形的梯度，dtype 與 x 相同。

評分
    形狀  state_dict 的鍵與形狀；logits、loss 與四個梯度的形狀、dtype
    數值  logits 符合上式；loss 與四個梯度在 float64 等於 autograd 的，N = 1、C 不等於 H、隱藏值恰好是 0 時也是；
          logits 大到 ±1000 時仍正確，不是 NaN 或 inf
    梯度  FeedForward 的輸入與每個參數的梯度
    行為  manual_gradients 在 torch.no_grad()、torch.inference_mode() 之下也能用；不改動輸入與它們的 grad
    禁用  torch.autograd.grad、torch.autograd.backward、Tensor.backward、torch.func

範例
    >>> x, labels = torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    >>> w1, b1, w2, b2 = torch.eye(2), torch.zeros(2), torch.eye(2), torch.zeros(2)
    >>> loss, (dw1, db1, dw2, db2) = manual_gradients(x, labels, w1, b1, w2, b2)
    >>> loss
    tensor(1.3133)
    >>> db2
    tensor([-0.7311,  0.7311])

面試追問
    1. 為什麼 softmax 加 cross entropy 的梯度這麼簡單？只對 log(softmax) 求導、不合併會遇到什麼問題？
    2. 反向傳播要留住哪些中間值？記憶體與 batch、寬度、深度各是什麼關係？
    3. 怎麼用數值微分驗證手寫的梯度？eps 太大、太小各會怎樣？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class FeedForward(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 036")

    def forward(self, x: Tensor) -> Tensor:
        """x (N, input_size) -> logits (N, output_size)。"""
        raise NotImplementedError("TODO 036")


def manual_gradients(
    x: Tensor, labels: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """平均 cross entropy，與它對 w1 (H, D)、b1 (H,)、w2 (C, H)、b2 (C,) 的梯度；不用 autograd。"""
    raise NotImplementedError("TODO 036")
