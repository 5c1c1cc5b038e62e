"""057 · 動態調整學習率，例如使用學習率調度器（LR Scheduler）

題目
    訓練 Transformer 最常用的調度：先線性 warmup，再沿半個 cosine 降下來。第 s 步的學習率是起始學習率的幾倍：

        s < W        s / W                                      （W = warmup_steps）
        W ≤ s ≤ T    m + (1 − m) · (1 + cos(π · p)) / 2，p = (s − W) / (T − W)    （T = total_steps，m = min_ratio）
        s > T        m

    s 是呼叫過幾次 scheduler.step()：剛建立時 s = 0，每次 optimizer.step() 之後呼叫一次。

    把 LinearLR 與 CosineAnnealingLR 用 SequentialLR 接起來並不等於上式：LinearLR 不能從 0 開始；
    CosineAnnealingLR 的 eta_min 是絕對值，各群組都一樣，而且過了 T_max 學習率又會升回去。

介面
    warmup_cosine(optimizer, warmup_steps, total_steps, *, min_ratio=0.0)
        傳回 torch.optim.lr_scheduler.LRScheduler（或其子類）。呼叫時各參數群組的 lr 就是它的起始學習率，
        各群組按同樣的倍數變化。
        warmup_steps 為 0 時沒有 warmup，從起始學習率開始下降；min_ratio 在 0 與 1 之間。
        total_steps ≤ warmup_steps 時拋出 ValueError，訊息含 total_steps 的值。
    存檔與接續
        optimizer 與 scheduler 的 state_dict 用 torch.save 存下；之後以相同的設定重新建立兩者，各自 load_state_dict，
        學習率就從斷掉的那一步接下去。

評分
    形狀  傳回 LRScheduler
    數值  warmup、cosine、T 之後，每一步的 optimizer.param_groups[i]["lr"]；min_ratio 與它的預設值
    行為  每個群組保有自己的起始學習率；沒有 warmup 也能用；在 warmup、cosine、T 之後中斷都能接續；
          不合法的 total_steps 拋出 ValueError

範例
    >>> optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.5)
    >>> scheduler = warmup_cosine(optimizer, 2, 6, min_ratio=0.2)
    >>> rates = []
    >>> for _ in range(8):
    ...     rates.append(round(optimizer.param_groups[0]["lr"], 3))
    ...     optimizer.step()
    ...     scheduler.step()
    >>> rates
    [0.0, 0.25, 0.5, 0.441, 0.3, 0.159, 0.1, 0.1]

面試追問
    1. 為什麼 Adam 配 Transformer 需要 warmup？第 0 步的學習率是 0，有什麼要緊？
    2. scheduler.step() 放在 optimizer.step() 之前、或每個 epoch 才呼叫一次，會發生什麼事？
    3. 用 gradient accumulation 或 GradScaler 略過更新時，scheduler 該不該走？
"""

import math

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler


def warmup_cosine(optimizer: Optimizer, warmup_steps: int, total_steps: int, *, min_ratio: float = 0.0) -> LRScheduler:
    """線性 warmup 之後沿半個 cosine 降到 min_ratio 倍。"""
    raise NotImplementedError("TODO 057")
