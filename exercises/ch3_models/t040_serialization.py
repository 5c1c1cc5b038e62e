"""040 · 模型的序列化和反序列化

題目
    把模型的權重變成一串 bytes（可以放進資料庫、佇列或 HTTP），再從 bytes 還原出一模一樣的模型。
    格式是 torch.save 的 state_dict，不是整個模組：torch.save(model) 存的是 pickle，類別的路徑一改就讀不回來，
    而讀別人的 pickle 等於執行別人的程式。

    兩個容易漏掉的地方：
        state_dict() 裡的張量可能是別的張量的 view，torch.save 會把整塊 storage 一起寫進去；.contiguous() 也救不了，
        因為連續的切片會原樣傳回，要 clone() 才有自己的 storage。
        torch.load 讀到壞的資料時，拋出的例外五花八門（EOFError、RuntimeError、UnpicklingError 等）。

介面
    serialize(model) -> bytes
        含所有參數與 persistent buffer，數值一個位元都不差。torch.load(io.BytesIO(data), weights_only=True) 打得開。
        不改動模型，也不改動它（與各子模組）的 train／eval 模式。
    deserialize(factory, data, *, device="cpu") -> nn.Module
        factory() 建一個全新的模型，與原來的結構、dtype 相同，在 CPU 上；
        載入 data，放到 device，以 eval 模式回傳（每個子模組都是）。
        data 不對時一律拋出 ValueError：
            缺少或多出的鍵、形狀不同   訊息含那些鍵的名字
            截斷的、別種格式的資料     訊息說出問題；data 裡夾帶的程式不可執行

評分
    數值  還原的模型輸出與原來的（eval 模式）逐位元相同，參數與 buffer 也是；之後再訓練原來的模型也不影響
    行為  serialize 回傳 bytes，weights_only=True 打得開；不改動模型與模式；
          參數或 buffer 是大張量的切片時，長度和自成一塊時一樣（相差不到 1 KB）；
          還原的模型是 eval 模式，在所給的 device 上；
          鍵或形狀不符、截斷、別種格式（文字、圖、zip、pickle 的模組與 dict、存的不是 state_dict）都拋出 ValueError；
          不執行 data 裡的程式

範例
    >>> model = nn.Linear(2, 3)
    >>> data = serialize(model)
    >>> copy = deserialize(lambda: nn.Linear(2, 3), data)
    >>> torch.equal(copy.weight, model.weight), copy.training
    (True, False)
    >>> try:
    ...     deserialize(lambda: nn.Linear(2, 4), data)
    ... except ValueError as error:
    ...     print("weight" in str(error))
    True

面試追問
    1. weights_only=True 允許什麼、擋掉什麼？safetensors 又比它多保證了什麼？
    2. 兩個參數綁在一起（tied weights）時，clone 之後檔案會變大嗎？還原後還是綁在一起嗎？
    3. 要能接著訓練，除了 state_dict 還要存哪些東西？
"""

import io
from collections.abc import Callable

import torch
from torch import nn


def serialize(model: nn.Module) -> bytes:
    """模型的參數與 buffer -> bytes。"""
    raise NotImplementedError("TODO 040")


def deserialize(factory: Callable[[], nn.Module], data: bytes, *, device: str | torch.device = "cpu") -> nn.Module:
    """bytes -> factory() 建的模型，載入了 data，在 device 上，eval 模式。"""
    raise NotImplementedError("TODO 040")
