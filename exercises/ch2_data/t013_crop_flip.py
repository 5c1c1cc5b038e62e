"""013 · 數據增強函數，包括隨機裁剪和水平翻轉操作

題目
    訓練影像模型最常用的兩個增強：從 (C, H, W) 的影像隨機裁出 (h, w) 的視窗，再以機率 p 左右翻轉。

        視窗的左上角 (top, left) 在所有放得下的位置中均勻抽取：
            top ∈ {0, 1, …, H − h}，left ∈ {0, 1, …, W − w}，兩端都包含
        翻不翻轉與位置無關：P(翻轉) = p

    torch.randint(n) 與 random.randrange(n) 不含 n，random.randint(0, n) 卻包含 n；把兩者記混，最後一列、一行
    就永遠裁不到。用 round(u · (H − h)) 湊整數也不對：兩端的機率只有中間的一半。

介面
    RandomCropFlip(size, p=0.5, *, generator=None)
        size 為正整數（正方形）或 (h, w)。p 介於 0 與 1。
        generator 是 CPU 上的 torch.Generator；None 表示 torch 的全域亂數。
    forward(image)
        image (C, H, W)，任何 dtype，可以在任何裝置上，記憶體可以不連續 -> (C, h, w)，同 dtype、同裝置。
        輸出可以是 image 的 view。
        h > H 或 w > W 時拋出 ValueError，訊息寫出放不下的那個數（h 或 w 的值）。

評分
    形狀  輸出的形狀與 dtype；size 為整數或 (h, w)，也包含與影像一樣大的
    數值  輸出恰好是影像的一個視窗或它的左右鏡像（浮點數、整數、bool，不連續的影像）；
          每個位置的機率相同；翻轉的比例是 p（含 0 與 1），而且與位置無關
    行為  同樣狀態的 generator 給出同樣的一連串結果，而且不動用全域亂數；沒有 generator 時由 torch.manual_seed 決定；
          每次呼叫都重新抽；不改動輸入；視窗放不下時拋出 ValueError

範例
    >>> image = torch.arange(12).reshape(1, 3, 4)
    >>> RandomCropFlip(2)(image).shape
    torch.Size([1, 2, 2])
    >>> RandomCropFlip((3, 4), p=1.0)(image)[0]
    tensor([[ 3,  2,  1,  0],
            [ 7,  6,  5,  4],
            [11, 10,  9,  8]])

面試追問
    1. 偵測與分割任務做同樣的增強時，框與遮罩要怎麼跟著變？為什麼 transforms.v2 要有 tv_tensors？
    2. 一個 batch 共用一組 (top, left, flip)，與每張各抽一組，哪個快、哪個好？怎麼在 GPU 上整批做？
    3. 有哪些資料不該左右翻轉？
"""

import torch
from torch import Tensor, nn


class RandomCropFlip(nn.Module):
    def __init__(
        self, size: int | tuple[int, int], p: float = 0.5, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        raise NotImplementedError("TODO 013")

    def forward(self, image: Tensor) -> Tensor:
        """image (C, H, W) -> (C, h, w)。"""
        raise NotImplementedError("TODO 013")
