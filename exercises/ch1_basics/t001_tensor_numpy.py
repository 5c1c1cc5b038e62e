"""001 · 創建一個 torch.Tensor，並將其轉換為 NumPy 數組

題目
    torch 的 CPU 張量與 NumPy 陣列可以指向同一塊記憶體：轉換不必複製，從任何一邊寫入，另一邊也會看到。
    請寫出三個方向明確、只在必要時才複製的轉換函式。

    · Python 的數字或巢狀串列 → 張量。注意 torch.Tensor(3) 不是「值為 3 的張量」，而是三個未初始化的值；
      torch.tensor([1, 2]) 則會保留 int64。
    · 張量 → 陣列。t.numpy() 對 requires_grad、bfloat16、conj 與 neg 的 view、CUDA 張量都會拋出例外。
    · 陣列 → 張量。負的 stride（例如 a[::-1]）與非本機的位元組順序（例如 ">f4"）是 torch 無法對應的，只好複製。

介面
    make_tensor(values)
        values 為一個數字（得到 0 維張量）或形狀規則的巢狀串列。一律得到 CPU 上的 float32。
    to_numpy(t)
        CPU 張量：回傳與 t 共用記憶體的 np.ndarray，view 與非連續的張量也是；形狀與 dtype 不變。
        例外：NumPy 沒有 bfloat16，所以轉成 float32；conj 與 neg 的 view 可以複製；
        CUDA 張量複製到主機。
    from_numpy(a)
        回傳與 a 共用記憶體的張量，形狀與 dtype 不變；torch 無法對應的陣列則複製。
        唯讀陣列也要能轉換，而且不發出警告（複製最安全；這裡不規定是否共用）。

評分
    形狀  make_tensor 的數字是 0 維；to_numpy 保留形狀，包含 0 維與空張量
    數值  三個函式的值與 dtype：make_tensor 的整數、小數、布林都是 float32；to_numpy 與 from_numpy 保留
          NumPy 也有的每種 dtype（bool、8 至 64 位元的有號與無號整數、float16/32/64、complex64/128）；
          bfloat16 成為 float32；conj 與 neg 的 view 得到正確的值；
          from_numpy 接受負的 stride 與非本機的位元組順序
    行為  to_numpy 與 from_numpy 共用記憶體，兩個方向的寫入都看得到（連續、轉置、跳格的 view；
          to_numpy 還有 requires_grad 的張量）；
          to_numpy 之後 requires_grad 與計算圖不變，仍可反向傳播；唯讀陣列沒有警告；不改動輸入

範例
    >>> t = make_tensor([[1, 2], [3, 4]])
    >>> t
    tensor([[1., 2.],
            [3., 4.]])
    >>> a = to_numpy(t)
    >>> a[0, 0] = 9  # 張量也看得到
    >>> t[0, 0].item()
    9.0
    >>> from_numpy(np.arange(3)[::-1])
    tensor([2, 1, 0])

面試追問
    1. 共用記憶體時，誰負責釋放？張量先被回收，陣列還能用嗎？
    2. 為什麼 requires_grad 的張量不准直接 .numpy()？detach() 複製了資料嗎？
    3. DataLoader 的 Dataset 回傳 torch.from_numpy(a[::-1]) 會怎樣？影像左右翻轉時該怎麼寫？
"""

import numpy as np
import torch
from torch import Tensor


def make_tensor(values: float | list) -> Tensor:
    """數字 -> ()；巢狀串列 (*) -> (*)。float32，在 CPU 上。"""
    raise NotImplementedError("TODO 001")


def to_numpy(t: Tensor) -> np.ndarray:
    """t (*) -> 陣列 (*)，盡可能共用記憶體。"""
    raise NotImplementedError("TODO 001")


def from_numpy(a: np.ndarray) -> Tensor:
    """a (*) -> 張量 (*)，盡可能共用記憶體。"""
    raise NotImplementedError("TODO 001")
