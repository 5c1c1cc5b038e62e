"""032 · 自定義的 torch.nn.Module，包含多個子模塊和跳躍連接

題目
    寫一個三層的網路，中間一層有跳躍連接（skip connection）：

        h   = fc1(x)
        out = fc3(fc2(relu(h)) + h)

    跳躍的是 h 本身：ReLU 只在 fc2 那條路上，加完之後、進 fc3 之前也沒有 ReLU（ResNet 第一版的區塊是加完再 ReLU，
    這裡是後來的 pre-activation 的排法）。所以 fc2 的權重與 bias 全是 0 時，整個網路就是 fc3(fc1(x))，
    h 的負值與它的梯度都原封不動地通過。

    relu_()、nn.ReLU(inplace=True) 會就地改掉 h；接著加上的就不是原來的 h 了，而且不會有任何錯誤訊息。

介面
    SkipNet(input_size, hidden_size, output_size)
        fc1、fc2、fc3 都是有 bias 的 nn.Linear：input_size → hidden_size → hidden_size → output_size。
        不要有別的參數或 buffer（ReLU 可以是子模組，也可以是函數）。
    forward(x)
        x (*, input_size) -> (*, output_size)，前面的維度不限，可以沒有。訓練與推論時相同。

評分
    形狀  state_dict 的鍵與形狀；(input_size)、(B, input_size)、(B, T, input_size) 的輸入，輸出的形狀與 dtype
    數值  輸出符合上式，包括 input_size = hidden_size 與 hidden_size = output_size 時，訓練與推論、每次呼叫都是；
          fc2 全為 0 時等於 fc3(fc1(x))
    梯度  輸入與每個參數的梯度都符合上式，fc2 全為 0 時也是
    行為  不改動輸入與模型

範例
    >>> net = SkipNet(1, 1, 1)
    >>> state = {"fc1.weight": 1, "fc1.bias": 0, "fc2.weight": 10, "fc2.bias": 0, "fc3.weight": 1, "fc3.bias": 0.5}
    >>> _ = net.load_state_dict({k: torch.full((1, 1) if "weight" in k else (1,), float(v)) for k, v in state.items()})
    >>> net(torch.tensor([[2.0], [-2.0]])).tolist()    # 10 · 2 + 2 + 0.5，以及 10 · 0 − 2 + 0.5
    [[22.5], [-1.5]]

面試追問
    1. 對 h 的梯度寫出來是什麼？為什麼跳躍連接讓很深的網路也訓練得動？
    2. 把 fc2 初始化為 0 有什麼好處？fc2 這時得到的梯度也是 0 嗎？
    3. 兩邊的形狀不同時（例如 ResNet 換解析度的那一層）怎麼跳？
"""

import torch
from torch import Tensor, nn


class SkipNet(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 032")

    def forward(self, x: Tensor) -> Tensor:
        """x (*, input_size) -> (*, output_size)。"""
        raise NotImplementedError("TODO 032")
