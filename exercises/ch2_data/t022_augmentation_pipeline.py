"""022 · 使用 torchvision 來進行數據增強

題目
    影像分類的兩條前處理：訓練時每次隨機增強，評估時固定不變。

        訓練  隨機裁切 → 隨機左右翻轉 → 隨機改變顏色 → 標準化
        評估  短邊縮放到 size（保持長寬比）→ 裁正中央 → 標準化

    標準化是 (x − mean) / std，逐 channel，x 已經在 0 到 1：先把 0 到 255 換成 0 到 1，再減 mean。
    評估時直接 Resize((size, size)) 會把影像壓扁。許多範例先縮放到 256 再裁 224（放大 8/7 倍），這裡的短邊恰好是 size。

介面
    train_transform(size, mean, std)、eval_transform(size, mean, std)
        size 為正整數；mean、std 各是三個數。兩者都回傳一個可呼叫的物件：
            RGB 的 PIL 影像，或 uint8 的 (3, H, W) 張量 -> float32 的 (3, size, size)
        H、W 任意，可以比 size 小。輸出可以是 tv_tensors.Image。
    train_transform  裁切：不論影像是橫的、直的、正方形的，水平與垂直的位置每次都會變
                     左右翻轉的機率在 0.2 到 0.8 之間（通常是 0.5）；顏色每次會變
                     標準化是最後一步；隨機的部分只由全域的亂數種子決定，與 mean、std 無關
    eval_transform   沒有隨機。短邊以雙線性（bilinear）加 antialias 縮放到 size，長邊按比例，再裁出正中央的 (size, size)

評分
    形狀  兩者的輸出都是 float32 的 (3, size, size)，PIL 與 uint8 張量都可以，影像比 size 大或小都可以
    數值  eval 在標準化之前與上述定義相差不超過 2/255；純色影像標準化之後的值；
          train 在同樣的種子下，給 mean、std 的結果就是不標準化（mean 為 0、std 為 1）的結果再標準化，後者在 0 到 1 之間
    行為  train 翻轉的機率在 0.2 到 0.8 之間，水平與垂直的裁切位置會變，鮮豔的純色影像，顏色會變；
          eval 每次都相同；建立時不動用也不重設全域亂數；不改動輸入

範例
    >>> preprocess = eval_transform(2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    >>> preprocess(Image.new("RGB", (6, 4), "white"))[0]
    tensor([[1., 1.],
            [1., 1.]])
    >>> augment = train_transform(2, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    >>> augment(torch.zeros(3, 4, 6, dtype=torch.uint8)).shape
    torch.Size([3, 2, 2])

面試追問
    1. 縮小影像時 antialias 為什麼重要？PIL 與張量的 resize 不一致，會讓部署後的準確率差多少？
    2. 哪些增強會改變標籤（數字辨識的翻轉、偵測的裁切）？怎麼知道增強太強了？
    3. 資料增強成了 CPU 瓶頸時，可以怎麼做？MixUp、CutMix 應放在 dataset 還是 collate_fn？
"""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2


def train_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image | Tensor], Tensor]:
    """隨機裁切、翻轉、改變顏色，再標準化：影像 -> float32 (3, size, size)。"""
    raise NotImplementedError("TODO 022")


def eval_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image | Tensor], Tensor]:
    """短邊縮放到 size、裁正中央，再標準化：影像 -> float32 (3, size, size)。"""
    raise NotImplementedError("TODO 022")
