"""006 · 創建一個 GPU 張量，並將其轉移到 CPU

題目
    訓練時的一個 batch 很少只是一個 tensor，通常是 dict、tuple 層層相套。請寫三個小工具：挑選裝置、把整個
    batch 搬上裝置、再搬回 CPU。

    Tensor.to 不是原地操作：它傳回結果，原來的 tensor 留在原處（nn.Module.to 才是原地的）。已經在目標裝置上的
    tensor，.to 會把它自己傳回來，不複製。

    沒有 GPU 也能作答：評分以 meta 裝置當目的地，並以自稱在 cuda 與 mps 上的假 tensor 試 to_cpu。

介面
    pick_device()
        呼叫的當下，torch.cuda.is_available() 為真就選 cuda；否則 torch.backends.mps.is_available() 為真就選
        mps；都不是就選 cpu。傳回 torch.device。
    to_device(obj, device, *, non_blocking=False)
        obj 是 tensor、其他任何物件，或由 dict、OrderedDict、list、tuple、namedtuple 相套而成的容器。把裡面每一個
        tensor 搬到 device（字串或 torch.device），傳回同樣結構的物件。non_blocking 交給每一次搬移。
    to_cpu(obj)
        同上，搬回 CPU。

評分
    形狀  搬移後每個 tensor 的形狀與 dtype 不變
    梯度  搬移可微：結果仍連著原來的計算圖
    行為  pick_device 依上述順序選擇，每次呼叫都重新判斷
          容器的型別、鍵與順序不變；不是 tensor 的葉子（字串、數字、None、NumPy 陣列、自訂的物件等）以同一個物件傳回
          已在目標裝置上的 tensor 不複製；不改動傳入的容器；non_blocking 傳到每一次搬移
          以 --device cuda 評分時，另查真的來回一趟：數值、梯度、pinned memory 搭配 non_blocking

範例
    >>> to_device({"x": torch.ones(2), "name": "cat"}, "cpu")
    {'x': tensor([1., 1.]), 'name': 'cat'}
    >>> batch = to_device((torch.ones(2, 3), ["a", "b"]), "meta")
    >>> batch[0].device, batch[1]
    (device(type='meta'), ['a', 'b'])

面試追問
    1. non_blocking=True 為什麼要搭配 pinned memory 才真的不等？
    2. 從 GPU 以 non_blocking=True 搬回 CPU 後立刻讀值，可能讀到什麼？該怎麼做？
    3. 迴圈裡每一步都 loss.item()，為什麼會拖慢訓練？
"""

from typing import Any

import torch
from torch import Tensor


def pick_device() -> torch.device:
    """cuda、mps、cpu 之中最先可用的裝置。"""
    raise NotImplementedError("TODO 006")


def to_device(obj: Any, device: torch.device | str, *, non_blocking: bool = False) -> Any:
    """把 obj 裡的每個 tensor 搬到 device；結構與其他物件不變，tensor 的形狀不變。"""
    raise NotImplementedError("TODO 006")


def to_cpu(obj: Any) -> Any:
    """把 obj 裡的每個 tensor 搬回 CPU。"""
    raise NotImplementedError("TODO 006")
