"""012 · 使用 DataLoader 進行批量加載，並對數據進行隨機打亂

題目
    為 map-style 的資料集建立 DataLoader：每個 epoch 重新隨機排列所有樣本，再依序切成 batch。

    給了 seed，這個 loader 每個 epoch 的順序就完全由 seed 決定，與全域亂數無關。許多文章為此呼叫
    torch.manual_seed(seed)：那會重設整個程式的亂數（dropout、初始化……），而別處每多抽一次亂數，資料的順序又跟著變。

介面
    make_loader(dataset, batch_size, *, seed=None, drop_last=False)
        dataset 有 __len__ 與 __getitem__，至少一個樣本。
        seed 為小於 2**32 的非負整數，0 也是；None 表示每次建立的 loader 順序都不同。
        最後一個 batch 不足 batch_size 時照樣給出，drop_last=True 時才丟棄。
        batch_size < 1 時拋出 ValueError，訊息含該值。

評分
    形狀  回傳 DataLoader；各 batch 的大小與 len(loader)，有沒有 seed 都一樣
    數值  每個 epoch 每個樣本恰好一次，輸入與標籤仍然成對；每種排列的機率相同
    行為  各 epoch 的順序不同（沒有 seed 時也是）；
          同一個 seed 建立的 loader 逐 epoch 順序相同，兩個 loader 輪流取也一樣；不同的 seed 順序不同；
          沒有 seed 時，兩個 loader 的順序不同；給了 seed，建立與迭代都不動用全域亂數；
          不合法的 batch_size 拋出 ValueError

範例
    >>> loader = make_loader(list(range(10)), 4, seed=0)
    >>> [len(batch) for batch in loader]
    [4, 4, 2]
    >>> sorted(torch.cat(list(loader)).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]

面試追問
    1. num_workers > 0 時，各 worker 的亂數種子從哪裡來？dataset 裡用 np.random 做增強有什麼陷阱？
    2. 訓練到一半中斷，怎麼從同一個 epoch 的同一個 batch 接著跑？
    3. 多卡訓練時 DistributedSampler 為什麼要 set_epoch？
"""

import torch
from torch.utils.data import DataLoader, Dataset


def make_loader(dataset: Dataset, batch_size: int, *, seed: int | None = None, drop_last: bool = False) -> DataLoader:
    """打亂順序的 DataLoader；seed 決定它每個 epoch 的順序。"""
    raise NotImplementedError("TODO 012")
