"""020 · 平衡 batch 的標籤：參考解"""

import torch
from torch import Tensor


class BalancedCollate:
    # 類別而不是閉包或 lambda：這樣才能 pickle，交給以 spawn 啟動的 worker。
    def __init__(self, *, generator: torch.Generator | None = None) -> None:
        self.generator = generator

    def __call__(self, batch: list[tuple[Tensor, int | Tensor]]) -> tuple[Tensor, Tensor]:
        """B 個 (sample (*), label) -> data (B', *)、labels (B',)。"""
        data = torch.stack([sample for sample, _ in batch])
        labels = torch.tensor([int(label) for _, label in batch])
        classes, counts = labels.unique(return_counts=True)
        most = int(counts.max())
        # 原來的每個都留著，只抽缺的；data 與 labels 用同一組索引，不會錯開。
        picked = [torch.arange(len(labels))]
        for label, count in zip(classes, counts.tolist(), strict=True):
            members = (labels == label).nonzero().flatten()
            draws = torch.randint(count, (most - count,), generator=self.generator)
            picked.append(members[draws])
        index = torch.cat(picked)
        return data[index], labels[index]
