"""030 · 簡單的 RNN 處理時間序列數據

題目
    先用手寫出 nn.RNN 的前向，再用現成的 nn.RNN 組一個「讀完整個序列、輸出一個向量」的模型。

        h_t = tanh(x_t W_ihᵀ + b_ih + h_{t−1} W_hhᵀ + b_hh)，   t = 1 … T，h_0 由呼叫者給

    tanh 套在兩項的和上，不是只套在其中一項；W 的形狀是（輸出, 輸入），和 nn.Linear 一樣，所以要轉置。
    每一步都要等前一步的 h，迴圈省不掉；但 x W_ihᵀ 與 h 無關，可以在迴圈外一次算完。

介面
    rnn_forward(x, h0, w_ih, w_hh, b_ih, b_hh) -> (out, h_T)
        x (B, T, I)、h0 (B, H)、w_ih (H, I)、w_hh (H, H)、b_ih (H)、b_hh (H)，T ≥ 1，dtype 都相同。
        out (B, T, H) 是每一步的 h；h_T (B, H) 是最後一步的 h，也就是 out[:, -1]。
    SimpleRNN(input_size, hidden_size, output_size)
        rnn：nn.RNN，batch_first=True，一層、單向、tanh；fc：nn.Linear，把最後一步的 h 變成輸出。
    SimpleRNN.forward(x)
        x (B, T, input_size) -> (B, output_size)。h_0 是 0，每次呼叫都重新開始，不記得上一個 batch。

評分
    形狀  rnn_forward 兩個輸出的形狀與 dtype（float32、float64）；SimpleRNN 也是，output_size = 1 時也是；
          SimpleRNN 的子模組，與 state_dict 的鍵、形狀
    數值  rnn_forward 與 nn.RNN 相同：T = 1、T = 60、不連續的 x 也是；SimpleRNN 等於 fc(最後一步的 h)，各種 B 與 T
    梯度  rnn_forward 對六個輸入的 gradcheck 通過，T = 60 時與 nn.RNN 相同；SimpleRNN 的輸入與每個參數的梯度
    行為  rnn_forward 不改動輸入；SimpleRNN 每次呼叫互不影響
    速度  rnn_forward 在 B、T、I、H = 32、50、16、32 時，不超過 nn.RNN 的 4 倍（只在 CPU 上比）；
          逐步迴圈、每步兩個矩陣乘法約 2 倍，每步用 einsum 約 5 倍，逐樣本迴圈約 50 倍
    禁用  rnn_forward 裡不能用 nn.RNN、nn.RNNCell、torch.rnn_tanh、torch.rnn_tanh_cell，以及它們底下的
          aten::rnn_tanh、aten::rnn_tanh_cell，不論從哪裡呼叫到（SimpleRNN 當然要用 nn.RNN）

範例
    >>> x = torch.tensor([[[1.0], [0.0]]])                        # B = 1、T = 2、I = 1
    >>> one, zero = torch.ones(1, 1), torch.zeros(1)
    >>> rnn_forward(x, torch.zeros(1, 1), one, one, zero, zero)   # tanh(1)、tanh(tanh(1))
    (tensor([[[0.7616],
             [0.6420]]]), tensor([[0.6420]]))
    >>> SimpleRNN(3, 8, 2)(torch.zeros(5, 7, 3)).shape
    torch.Size([5, 2])

面試追問
    1. 為什麼 tanh 的 RNN 會梯度消失或爆炸？這與 W_hh 的哪個性質有關？
    2. 序列長短不一而補了零，out[:, -1] 讀到的是什麼？該怎麼讀？
    3. b_ih 與 b_hh 數學上可以合成一個，為什麼 nn.RNN 留著兩個？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def rnn_forward(x: Tensor, h0: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor, b_hh: Tensor) -> tuple[Tensor, Tensor]:
    """x (B, T, I)、h0 (B, H)、w_ih (H, I)、w_hh (H, H)、b_ih (H)、b_hh (H) -> (B, T, H)、(B, H)。"""
    raise NotImplementedError("TODO 030")


class SimpleRNN(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 030")

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, input_size) -> (B, output_size)。"""
        raise NotImplementedError("TODO 030")
