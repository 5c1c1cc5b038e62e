"""014 · 使用 torchvision.transforms 加載 CIFAR-10 數據集並進行標準化

題目
    把 CIFAR-10 的 PIL 影像變成標準化的張量，以及它的反運算（畫圖時要用）：

        標準化    y = (v / 255 − mean) / std      v 是 0 到 255 的像素值，每個 channel 各有自己的 mean 與 std
        還原      x · std + mean

    mean = std = 0.5 時，結果落在 [−1, 1]；常有文章說這樣「均值為 0、標準差為 1」，那要用資料自己的統計量才成立。
    v2.ToDtype(torch.float32) 只換 dtype，不除以 255；ToImage 與 PILToTensor 也都不除。

介面
    make_transform(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        回傳一個 transform：RGB 的 PIL 影像 -> (3, 高, 寬) 的 float32 張量，是 tv_tensors.Image 也可以。
    load_cifar10(root, *, train=True, transform=None)
        回傳 torchvision 的 CIFAR10；檔案已經在 root/cifar-10-batches-py 底下，不下載。train 決定是訓練集還是測試集。
        樣本是 (transform(PIL 影像), 類別編號)；transform 為 None 時影像就是 PIL 影像。
        檔案不齊（整個資料夾或其中一個檔案不在；在的都完好）時拋出 FileNotFoundError，訊息含 root。
    denormalize(x, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        x 為 (..., 3, H, W) 的浮點數張量，前面有幾個 batch 維都可以，也可以沒有；記憶體可以不連續。
        形狀、dtype 與裝置和 x 相同，不截斷到 [0, 1]。

評分
    形狀  transform 的結果是 (3, 32, 32) 的 float32；denormalize 不改形狀與 dtype（float32、float64）
    數值  預設值下黑是 −1、白是 1；其他統計量逐 channel 符合上式；denormalize 符合上式，與標準化互為反運算，
          絕對誤差不超過 1e-6；訓練集與測試集的每張影像與標籤
    行為  transform 為 None 時給 PIL 影像，否則套在影像上；檔案不齊時拋出 FileNotFoundError，也不試著下載；
          denormalize 不改動 x

範例
    >>> from PIL import Image
    >>> x = make_transform()(Image.new("RGB", (32, 32), (255, 0, 51)))
    >>> x.shape
    torch.Size([3, 32, 32])
    >>> [round(value, 4) for value in x[:, 0, 0].tolist()]
    [1.0, -1.0, -0.6]
    >>> [round(value, 4) for value in denormalize(x)[:, 0, 0].tolist()]
    [1.0, 0.0, 0.2]

面試追問
    1. 標準化用的均值與標準差該從哪一部分的資料算？為什麼不能用測試集？
    2. 隨機裁切、翻轉、標準化，放的先後有什麼差別？哪些也要用在驗證集？
    3. 標準化放在 transform 裡與放在模型的第一層，部署時各有什麼好處？
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10
from torchvision.transforms import v2


def make_transform(mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5)) -> Callable:
    """-> PIL 影像到 (3, 高, 寬) 的 transform。"""
    raise NotImplementedError("TODO 014")


def load_cifar10(root: str | Path, *, train: bool = True, transform: Callable | None = None) -> Dataset:
    """-> 樣本為 (影像, 類別編號) 的 Dataset。"""
    raise NotImplementedError("TODO 014")


def denormalize(x: Tensor, mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5)) -> Tensor:
    """x (..., 3, H, W) -> (..., 3, H, W)。"""
    raise NotImplementedError("TODO 014")
