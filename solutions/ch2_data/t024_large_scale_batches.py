"""024 · 大規模數據的批量處理：參考解"""

import math
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class MemmapDataset(Dataset):
    def __init__(self, path: str | os.PathLike, shape: tuple[int, int], dtype: str = "float32") -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        expected, size = math.prod(shape) * np.dtype(dtype).itemsize, os.path.getsize(path)
        if size != expected:  # np.memmap 只嫌檔案太小，太大時默默少讀
            raise ValueError(f"{path} 有 {size} bytes，{shape} 的 {dtype} 應有 {expected} bytes")
        # 仍是映射，只是脫下 np.memmap 這層外殼：它每次取值都慢好幾倍。
        self.data = np.asarray(np.memmap(path, dtype=dtype, mode="r", shape=shape))

    def __reduce__(self) -> tuple:
        return type(self), (self.path, self.shape, self.dtype)  # 只帶路徑，還原時重新映射

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Tensor:
        """第 index 列，(d,)。"""
        return torch.from_numpy(self.data[index].copy())  # 複製：映射是唯讀的，而且不能讓人從張量改到它

    def __getitems__(self, indices: list[int]) -> list[Tensor]:
        return list(torch.from_numpy(self.data[indices]))  # DataLoader 有它就一次取一整個 batch


def streaming_mean_std(dataset: Dataset, *, batch_size: int = 256, num_workers: int = 0) -> tuple[Tensor, Tensor]:
    """每一欄的平均與母體標準差，(d,)、(d,)，float64。"""
    count, mean, m2 = 0, 0.0, 0.0
    for batch in DataLoader(dataset, batch_size=batch_size, num_workers=num_workers):
        batch = batch.double()
        n, batch_mean = len(batch), batch.mean(0)
        # Chan 等人的合併公式：batch 內先減自己的平均，再補上兩個平均之差，全程沒有大數相減。
        delta = batch_mean - mean
        mean = mean + delta * (n / (count + n))
        m2 = m2 + (batch - batch_mean).square().sum(0) + delta.square() * (count * n / (count + n))
        count += n
    return mean, (m2 / count).sqrt()
