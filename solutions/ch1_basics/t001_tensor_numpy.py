"""001 · 創建一個 torch.Tensor，並將其轉換為 NumPy 數組：參考解"""

import numpy as np
import torch
from torch import Tensor


def make_tensor(values: float | list) -> Tensor:
    """數字 -> ()；巢狀串列 (*) -> (*)。float32，在 CPU 上。"""
    return torch.tensor(values, dtype=torch.float32)


def to_numpy(t: Tensor) -> np.ndarray:
    """t (*) -> 陣列 (*)，盡可能共用記憶體。"""
    if t.dtype == torch.bfloat16:
        t = t.float()
    # force=True 等於 detach().cpu().resolve_conj().resolve_neg().numpy()：不需要時，每一步都不複製。
    return t.numpy(force=True)


def from_numpy(a: np.ndarray) -> Tensor:
    """a (*) -> 張量 (*)，盡可能共用記憶體。"""
    backwards = any(step < 0 for step in a.strides)
    # torch 沒有唯讀的張量：共用唯讀陣列會讓人寫壞它，所以 torch 會警告，這裡改為複製。
    if backwards or not a.dtype.isnative or not a.flags.writeable:
        a = np.array(a, dtype=a.dtype.newbyteorder("="), order="C")
    return torch.from_numpy(a)
