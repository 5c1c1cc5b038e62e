"""018 · 多進程的 DataLoader：參考解"""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info


class ShardedRange(IterableDataset):
    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        """這個 worker 的一份；不在 worker 裡時是全部。"""
        info = get_worker_info()  # 在主行程裡是 None
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        # 每隔 workers 個取一個：不必處理除不盡的餘數。
        return iter(range(self.start + worker, self.stop, workers))

    def __len__(self) -> int:
        """全部的個數，不是這個 worker 的。"""
        return self.stop - self.start


def make_loader(dataset: Dataset, batch_size: int, num_workers: int, *, seed: int = 0) -> DataLoader:
    """不打亂的 DataLoader；seed 決定各 worker 在各 epoch 的亂數。"""
    # 每個 epoch 的 base seed 由這個 generator 往下抽：各 epoch 不同、重來又相同，而且不碰全域亂數。
    # worker 再由 base seed 與自己的編號設好 random、NumPy、torch 的種子，不需要 worker_init_fn。
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(dataset, batch_size=batch_size, num_workers=num_workers, generator=generator)
