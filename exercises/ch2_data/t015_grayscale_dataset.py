"""015 · 將數據集中的所有圖像轉換為灰度

題目
    把 RGB 影像轉成灰階，再把這個轉換套到整個資料集上：取用哪一張才轉哪一張。

    灰階不是三個 channel 的平均，眼睛對綠色最敏感。這裡用 ITU-R BT.601 的 luma：

        Y = 0.299 R + 0.587 G + 0.114 B

    三個係數的和恰好是 1，白色仍是白色。torchvision 的 rgb_to_grayscale 用的是 0.2989，白色成了 0.9999：
    那個值在這裡不算對。

介面
    rgb_to_gray(images)
        浮點數的 (..., 3, H, W)，channel 的順序是 R、G、B，值不限於 0 到 1 -> (..., 1, H, W)，
        同 dtype、同裝置，可以求梯度。
    convert_to_grayscale(dataset) -> torch.utils.data.Dataset
        dataset 有 __len__ 與 __getitem__，每一項是 (image, label)。image 可能是
            任何 mode 的 PIL 影像        先當作 RGB（同 PIL 的 convert("RGB")，透明度捨棄）
            uint8 的 (3, H, W) 張量      0 到 255
            浮點數的 (3, H, W) 張量      已經在 0 到 1
        新的資料集長度相同，每一項是 (gray, label)：gray 是 (1, H, W) 的 float32，值在 0 到 1；label 原封不動。
        它是惰性的：建立時一項也不讀，取用一項時對 dataset 只讀那一項、只讀一次。

評分
    形狀  rgb_to_gray 的形狀與 dtype（一張、一批、多一維的一批）；資料集的長度與各種項目的形狀、dtype
    數值  rgb_to_gray 符合公式（該 dtype 的捨入誤差之內），純紅、純綠、純藍、白色也是，不連續的輸入也對；
          PIL（RGB、L、1、P、RGBA、CMYK）與 uint8 的誤差不超過 0.51/255，浮點數不超過 1e-6
    梯度  rgb_to_gray 通過 gradcheck
    行為  建立與取長度時不讀 dataset，每取一項恰好讀一次；label 是原來的物件；不改動輸入與 dataset 裡的張量

範例
    >>> rgb_to_gray(torch.tensor([0.0, 1.0, 0.0]).reshape(3, 1, 1))
    tensor([[[0.5870]]])
    >>> photos = [(Image.new("RGB", (2, 1), "red"), "紅"), (torch.full((3, 1, 2), 255, dtype=torch.uint8), "白")]
    >>> gray = convert_to_grayscale(photos)
    >>> gray[0]
    (tensor([[[0.2990, 0.2990]]]), '紅')
    >>> len(gray), gray[1][0].shape
    (2, torch.Size([1, 1, 2]))

面試追問
    1. 這個公式用在 sRGB（經過 gamma）的值上，得到的是 luma 而不是 luminance，差在哪裡？BT.709 的係數又是多少？
    2. 每個 epoch 都重轉一次很浪費；要快取的話，放在哪一層、多個 worker 怎麼共用？
    3. 預訓練的模型要吃三個 channel 的輸入，灰階影像怎麼餵？改第一層卷積的權重又該怎麼改？
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset


def rgb_to_gray(images: Tensor) -> Tensor:
    """浮點數 (..., 3, H, W) -> (..., 1, H, W)。"""
    raise NotImplementedError("TODO 015")


def convert_to_grayscale(dataset: Any) -> Dataset:
    """每一項成為 ((1, H, W) 的 float32, label) 的資料集。"""
    raise NotImplementedError("TODO 015")
