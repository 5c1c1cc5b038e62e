"""057 · warmup 與 cosine 的學習率調度：參考解"""

import math

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def warmup_cosine(optimizer: Optimizer, warmup_steps: int, total_steps: int, *, min_ratio: float = 0.0) -> LRScheduler:
    """線性 warmup 之後沿半個 cosine 降到 min_ratio 倍。"""
    if total_steps <= warmup_steps:
        raise ValueError(f"total_steps 應大於 warmup_steps（{warmup_steps}），得到 {total_steps}")

    def scale(step: int) -> float:
        """第 step 步是起始學習率的幾倍；只看 step，所以從任何一步都能接續。"""
        if step < warmup_steps:
            return step / warmup_steps
        progress = (step - warmup_steps) / (total_steps - warmup_steps)
        progress = min(progress, 1.0)  # 過了 total_steps 就停住：cosine 會再升回去
        return min_ratio + (1 - min_ratio) * (1 + math.cos(math.pi * progress)) / 2

    return LambdaLR(optimizer, scale)
