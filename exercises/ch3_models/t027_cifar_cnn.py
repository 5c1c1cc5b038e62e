"""027 · CNN 用於處理 CIFAR-10 圖像分類

題目
    給 32×32 彩色圖的小型卷積網路，依序是：

        conv1   3 → 32 個 channel，3×3，padding 1      32×32
        ReLU，2×2 的 max pooling                       16×16
        conv2   32 → 64 個 channel，3×3，padding 1     16×16
        ReLU，2×2 的 max pooling                        8×8
        攤平成 4096（channel 在最外層，其次是高、寬，和 torch.flatten 一樣）
        fc1     4096 → 128，ReLU
        fc2     128 → num_classes，輸出 logits

    最後不要 softmax：nn.CrossEntropyLoss 自己會做 log_softmax，先做一次會讓梯度變得很小。

介面
    CifarCNN(num_classes=10)
        屬性 conv1、conv2 是 nn.Conv2d，fc1、fc2 是 nn.Linear，都有 bias；沒有其他參數。
    forward(x)
        x (N, 3, 32, 32) -> logits (N, num_classes)。每張圖只由自己決定，訓練與推論時相同。

評分
    形狀  state_dict 的鍵與形狀；logits 的形狀（num_classes = 1 時也是），dtype 與權重相同
    數值  權重相同時，logits 與上面的網路相同，只有一張圖時也是，訓練時每次呼叫都是
    梯度  輸入與每個參數的梯度
    行為  不改動輸入；Adam（lr 1e-3）訓練 60 步後，記得住 16 張真實的圖
    速度  32 張圖的前向與反向，不超過參考解的 5 倍，也不逐張迴圈

範例
    >>> model = CifarCNN()
    >>> model(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    >>> sum(p.numel() for p in model.parameters())
    545098

面試追問
    1. 參數幾乎都在哪一層？換成 global average pooling 會剩多少，代價是什麼？
    2. ReLU 與 max pooling 誰先誰後有沒有差別？哪個順序省記憶體？
    3. conv2 輸出的一個位置，看得到輸入的多大範圍？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CifarCNN(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        raise NotImplementedError("TODO 027")

    def forward(self, x: Tensor) -> Tensor:
        """x (N, 3, 32, 32) -> logits (N, num_classes)。"""
        raise NotImplementedError("TODO 027")
