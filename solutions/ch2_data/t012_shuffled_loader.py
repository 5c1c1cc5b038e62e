"""012 · 打亂順序的 DataLoader：參考解"""

import torch
from torch.utils.data import DataLoader, Dataset


def make_loader(dataset: Dataset, batch_size: int, *, seed: int | None = None, drop_last: bool = False) -> DataLoader:
    """打亂順序的 DataLoader；seed 決定它每個 epoch 的順序。"""
    # 自己的 generator：逐 epoch 往下抽，所以各 epoch 不同、重來又相同，而且不碰全域亂數。
    # torch.Generator() 不給種子時每次都從同一個預設狀態開始，因此沒有 seed 就不要建。
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    # generator 要交給 DataLoader，不能只給 RandomSampler：iterator 建立時自己也會抽一個數。
    # batch_size < 1 由 DataLoader 拋出 ValueError。
    return DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=drop_last, generator=generator)
