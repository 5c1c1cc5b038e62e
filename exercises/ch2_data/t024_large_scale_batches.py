"""024 · 使用 DataLoader 進行大規模數據的批量處理

題目
    資料比記憶體大時，讓它留在磁碟上：np.memmap 把檔案映射成陣列，讀到哪裡，系統才載入哪裡，而且隨時可以收回。

    MemmapDataset 讀一個沒有檔頭的二進位檔，裡面是 (n, d) 的陣列，依列連續存放。它要能 pickle（worker 行程可能
    這樣拿到它），但 np.memmap 一經 pickle 就會把整個檔案的內容帶走：只能帶走路徑，到了那邊再重新映射。

    streaming_mean_std 不把資料全部放進記憶體，求每一欄的平均與母體標準差（除以 n）：

        std = √(Σ (x − mean)² / n)

    許多文章只累加 Σx 與 Σx²，再用 E[x²] − E[x]²。平均遠大於標準差時，兩個相近的大數相減，有效位數全部消失，
    換成 float64 也不夠。另一個常見的錯，是把各 batch 的平均直接平均：最後一個 batch 常常比較小。

介面
    MemmapDataset(path, shape, dtype="float32")
        path 是 str 或 Path；shape 是 (n, d)，n、d ≥ 1；dtype 是 NumPy 與 torch 都有的型別名稱，例如 "uint8"。
        dataset[i]（0 ≤ i < n）是第 i 列，(d,) 的張量，dtype 同名；len(dataset) 是 n。不改動檔案。
        檔案大小與 shape、dtype 不符（太大也算）時，建立時就拋出 ValueError，訊息含檔案實際的位元組數。
    streaming_mean_std(dataset, *, batch_size=256, num_workers=0)
        dataset 是任何 map-style 的資料集（不一定是 MemmapDataset），至少一筆，每筆是 (d,) 的張量，整數或浮點數。
        以 DataLoader 每次讀 batch_size 筆，num_workers 也交給它。可以讀不只一遍。
        傳回 (mean, std)，都是 (d,) 的 float64。

評分
    形狀  dataset 的長度、每筆的形狀與 dtype；mean、std 是 (d,) 的 float64
    數值  dataset 的內容，檔案不變；mean、std 的相對誤差不超過 1e-6：最後一個 batch 較小、只有一筆、batch_size 大於
          筆數、各種 dtype，以及平均 1e6、標準差 1 的 float32；整欄都是 c 時，std 不超過 1e-9·|c|，也不是 NaN
    行為  (262144, 64) 的 float32 檔案（64 MiB）：建立、讀幾筆，以及 streaming_mean_std 讀完全部，行程的私有記憶體
          增加都不到 16 MiB（映射的檔案頁不算）；pickle 後的大小不到 16 KiB，無論讀過沒有，還原後內容相同，原來的
          也照常可用；大小不符時拋出 ValueError；batch_size、num_workers 有用上
    速度  (32768, 64)，每筆一列的 dataset，streaming_mean_std 不超過參考解的 4 倍，也不在 Python 裡逐列處理

範例
    >>> folder = tempfile.mkdtemp()
    >>> np.arange(6, dtype="float32").tofile(Path(folder, "x.bin"))
    >>> dataset = MemmapDataset(Path(folder, "x.bin"), (3, 2))
    >>> dataset[1]
    tensor([2., 3.])
    >>> streaming_mean_std(dataset, batch_size=2)
    (tensor([2., 3.], dtype=torch.float64), tensor([1.6330, 1.6330], dtype=torch.float64))

面試追問
    1. 訓練時要隨機打亂，但逐筆隨機讀磁碟很慢，怎麼折衷？
    2. 多個 worker 各自算出 (count, mean, M2)，怎麼合併成整體的？
    3. 每筆都經過 __getitem__ 與 collate 太慢時，DataLoader 有哪些辦法一次取一整個 batch？
"""

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
        raise NotImplementedError("TODO 024")

    def __len__(self) -> int:
        raise NotImplementedError("TODO 024")

    def __getitem__(self, index: int) -> Tensor:
        """第 index 列，(d,)。"""
        raise NotImplementedError("TODO 024")


def streaming_mean_std(dataset: Dataset, *, batch_size: int = 256, num_workers: int = 0) -> tuple[Tensor, Tensor]:
    """每一欄的平均與母體標準差，(d,)、(d,)，float64。"""
    raise NotImplementedError("TODO 024")
