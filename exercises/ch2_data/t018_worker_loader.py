"""018 · 使用 torch.utils.data 實現一個多進程數據加載器

題目
    DataLoader 的 num_workers > 0 時，每個 worker 行程各有一份 dataset。map-style 的 dataset 由主行程分配索引；
    IterableDataset 沒有索引可分，每個 worker 都會從頭走到尾，所以要自己用 get_worker_info() 分工，否則每筆資料
    會出現 num_workers 次。

    亂數是另一個坑。許多文章說 NumPy 在每個 worker 都產生同樣的亂數，要寫
    worker_init_fn=lambda i: np.random.seed(seed + i)。兩者都過時了：現在的 torch 在每個 worker、每個 epoch
    開始時，會由同一個起點（base seed）替 random、NumPy、torch 各設好不同的種子；照那一行寫，反而讓每個 epoch
    的亂數都一樣。剩下要做的只有一件事：讓 base seed 由 seed 決定，而不是由全域亂數抽出來。

介面
    ShardedRange(start, stop)
        start ≤ stop，可以是負數。迭代得到 start 到 stop − 1 的 Python int；不在 worker 裡時依序給出全部，
        可以一再重頭迭代。有 num_workers 個 worker 時，各給一部分。len() 是全部的個數。
        分工由 ShardedRange 自己完成：直接交給 DataLoader(ShardedRange(...), num_workers=...) 也要對。
    make_loader(dataset, batch_size, num_workers, *, seed=0)
        dataset 是任何 map-style 或 iterable 的 dataset，不打亂；num_workers 為 0 時在主行程裡讀。
        最後不足 batch_size 的 batch 也要給出。seed 為小於 2**32 的非負整數。
        （iterable 的 batch 是各 worker 各自湊的，所以不滿的 batch 可能不只一個，也可能比 len(loader) 多。）

評分
    形狀  len(dataset)；回傳 DataLoader；num_workers = 0 時各 batch 的大小
    數值  不在 worker 裡時依序、可重複；num_workers 為 0、1、2、3 時每個數恰好一次，batch 是 int64、不超過
          batch_size，數字比 worker 少時也對；不經過 make_loader、直接用 DataLoader 也一樣；
          map-style 的 dataset 依序、不打亂，最後不滿的 batch 也在
    行為  數字多時每個 worker 都分到一份；有 num_workers 個 worker，map-style 與 iterable 都是；
          random、NumPy、torch 的全域亂數在任兩個 worker、任兩個 epoch 都不同；
          同一個 seed（預設 0）的 loader 逐 epoch 重現這些亂數，與主行程的全域亂數無關；不同的 seed 不同；
          主行程的全域亂數不被動到；loader 用完後不留下行程

範例
    >>> list(ShardedRange(3, 8))
    [3, 4, 5, 6, 7]
    >>> loader = make_loader(ShardedRange(0, 10), 4, num_workers=2)
    >>> sorted(torch.cat(list(loader)).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

面試追問
    1. persistent_workers=True 時，worker 的亂數在第二個 epoch 會怎樣？dataset 物件裡的狀態呢？
    2. fork 與 spawn 啟動的 worker，dataset 各是怎麼到它手上的？哪些東西不能放進 dataset？
    3. worker 的結果怎麼回到主行程？為什麼傳 tensor 比傳 Python 的 list 便宜？
"""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info


class ShardedRange(IterableDataset):
    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 018")

    def __iter__(self) -> Iterator[int]:
        """這個 worker 的一份；不在 worker 裡時是全部。"""
        raise NotImplementedError("TODO 018")

    def __len__(self) -> int:
        """全部的個數，不是這個 worker 的。"""
        raise NotImplementedError("TODO 018")


def make_loader(dataset: Dataset, batch_size: int, num_workers: int, *, seed: int = 0) -> DataLoader:
    """不打亂的 DataLoader；seed 決定各 worker 在各 epoch 的亂數。"""
    raise NotImplementedError("TODO 018")
