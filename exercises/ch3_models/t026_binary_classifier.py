"""026 · 全連接神經網絡，用於二分類任務

題目
    一個隱藏層的二分類網路，輸出 y = 1 的機率：

        p = sigmoid(fc2(relu(fc1(x))))

    train_step 以整個 batch 訓練一步，損失是 binary cross entropy 的平均：

        BCE = −mean(y · log p + (1 − y) · log(1 − p))

    小心形狀：p 是 (N, 1)，標籤常是 (N,)。自己寫公式時，(N, 1) 與 (N,) 會廣播成 (N, N)，不報錯，損失卻是錯的。

介面
    BinaryClassifier(input_size, hidden_size)
        屬性 fc1、fc2 是兩個 nn.Linear（有 bias），沒有其他參數。
    forward(x)
        x 為 (N, input_size) -> 機率 (N, 1)。每筆只由自己的輸入決定，訓練與推論時相同。
    train_step(model, optimizer, x, y)
        x 為 (N, input_size) 的 float32；y 為 (N,) 或 (N, 1)，值是 0 或 1，任何 dtype（int64、bool、float64……）。
        以這個 batch 的梯度更新一步：呼叫前參數上殘留的梯度不算數。不改動 x、y。
        回傳更新前的損失，Python 的 float。

評分
    形狀  state_dict 的鍵與形狀；輸出 (N, 1)、dtype 與權重相同
    數值  輸出符合上式；train_step 連續數步的損失與權重都等於手算（SGD 加 momentum，以及 Adam），
          y 的各種形狀與 dtype、大小不同的 batch 都是；機率接近 0 時也是
    梯度  輸入與每個參數的梯度
    行為  殘留的梯度不影響結果；回傳 float；不改動 x、y，原本在 train 模式的模型仍在 train 模式；
          hidden_size = 16、Adam（lr 1e-2）訓練 200 步後，能分開鳶尾花的 setosa 與 versicolor

範例
    >>> model = BinaryClassifier(4, 8)
    >>> model(torch.zeros(3, 4)).shape
    torch.Size([3, 1])
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> losses = [train_step(model, optimizer, torch.ones(3, 4), torch.tensor([1, 1, 1])) for _ in range(2)]
    >>> losses[1] < losses[0]
    True

面試追問
    1. 實務上為什麼輸出 logits、用 BCEWithLogitsLoss，而不是 sigmoid 加 BCELoss？
    2. 正負樣本 1 : 99 時，損失與評估指標要怎麼改？
    3. optimizer.zero_grad() 的 set_to_none 有什麼差別？什麼時候會故意不清梯度？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BinaryClassifier(nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 026")

    def forward(self, x: Tensor) -> Tensor:
        """x (N, input_size) -> y = 1 的機率 (N, 1)。"""
        raise NotImplementedError("TODO 026")


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """訓練一步，回傳更新前的平均 BCE；y 為 (N,) 或 (N, 1)。"""
    raise NotImplementedError("TODO 026")
