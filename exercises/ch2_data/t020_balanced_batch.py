"""020 · 對每個批次的數據進行標籤平衡處理

題目
    一個 batch 裡各類別的樣本數常常差很多。寫一個 collate_fn，用過採樣（oversampling）把它補到平衡：batch 裡出現的每個
    類別，都補到與最多的類別一樣多。原來的樣本全部留著；補上的每一個都獨立地、均勻地、取後放回地抽自同一類別原來的樣本。

    這只平衡 batch 裡已有的類別；整個資料集不平衡時，稀少的類別可能根本不在 batch 裡，那要用 WeightedRandomSampler。

介面
    BalancedCollate(*, generator=None)
        generator 是 CPU 上的 torch.Generator；給了，抽樣就只由它決定，逐次呼叫往下抽。None 時每次隨機抽。
    __call__(batch) -> (data, labels)
        batch 是 (sample, label) 的 list，至少一個：sample 為 Tensor (*)，形狀、dtype、device 都相同；
        label 為 int 或整數的純量 Tensor，可以是任何整數，不一定從 0 開始，也可以是負的。
        data 為 (B', *)，labels 為 (B',) 的 int64，B' 是類別數乘以最多的類別的樣本數；順序不拘。
        已經平衡的、只有一個類別的 batch 不必補，照原來的順序交出。

評分
    形狀  data (B', *) 與 sample 同 dtype；labels (B',)、int64；label 是 int 或純量 Tensor 都可以
    數值  每個類別一樣多；每個原來的樣本都在；每個樣本都配著自己的標籤，補上的也來自 batch
    行為  補上的樣本符合獨立均勻、取後放回的分布，類別之間也獨立；generator 的種子相同就逐次得到同樣的結果，與全域
          亂數無關，也不動用或重設它，種子不同則不同；沒有 generator 時，先後建立的物件結果不同；平衡的、只有一類的、
          只有一個樣本的 batch 原樣交出；物件可以 pickle；不改動輸入

範例
    >>> collate = BalancedCollate(generator=torch.Generator().manual_seed(0))
    >>> data, labels = collate([(torch.tensor([1.0]), 3), (torch.tensor([2.0]), 3), (torch.tensor([5.0]), 8)])
    >>> sorted(zip(data.flatten().tolist(), labels.tolist()))
    [(1.0, 3), (2.0, 3), (5.0, 8), (5.0, 8)]

面試追問
    1. 過採樣、欠採樣、WeightedRandomSampler、在 loss 加類別權重，各有什麼代價？
    2. 為什麼 DataLoader 的 worker 用 spawn 時 collate_fn 必須能 pickle？各 worker 的 generator 會怎樣？
    3. 平衡之後訓練的模型，輸出的機率為什麼不再校準？怎麼修正？
"""

import torch
from torch import Tensor


class BalancedCollate:
    def __init__(self, *, generator: torch.Generator | None = None) -> None:
        raise NotImplementedError("TODO 020")

    def __call__(self, batch: list[tuple[Tensor, int | Tensor]]) -> tuple[Tensor, Tensor]:
        """B 個 (sample (*), label) -> data (B', *)、labels (B',)。"""
        raise NotImplementedError("TODO 020")
