"""069 · 使用 torch.optim 模組來實現自適應學習率調整

題目
    指標不再進步就降低學習率：自己寫出 torch 的 ReduceLROnPlateau，學習率要一模一樣。每次 step(metric) 依序：

        1. metric 比 best 好：best ← metric，bad ← 0；否則 bad ← bad + 1
        2. 還在 cooldown 的步數之內：剩餘的步數減 1，bad ← 0（best 照常更新）
        3. bad > patience：降低學習率，接下來 cooldown 步是冷卻期，bad ← 0

    最初沒有 best，第一個 metric 一定比較好（NaN 除外）。「比較好」是嚴格的不等式：

        threshold_mode    mode = "min"                      mode = "max"
        "rel"             metric < best · (1 − threshold)   metric > best · (1 + threshold)
        "abs"             metric < best − threshold         metric > best + threshold

    best 是負數時，"rel" 的公式反而放寬了門檻（"min"、best = −2、threshold = 0.25：−1.75 也算進步）。
    這是 torch 的實際行為，文件沒有提；照公式算，不要取絕對值。

    降低學習率：每個參數群組各自 new = max(lr · factor, min_lr)；lr − new 大於 1e-8 才改，否則維持原狀。

介面
    PlateauLR(optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel",
              cooldown=0, min_lr=0.0)
        參數的意義與 ReduceLROnPlateau 相同。mode 是 "min" 或 "max"，threshold_mode 是 "rel" 或 "abs"。
        factor ≥ 1 或不認得的 mode 拋出 ValueError，訊息含該值。
    step(metric)
        metric 是 float，可以是 NaN：NaN 不比任何值好。直接改 optimizer.param_groups 裡的 "lr"；
        它在別處改過（例如 warmup），就從改過的值降。

評分
    數值  500 組隨機的設定與 metric（含負數、NaN），每一步、每個群組的學習率都與 ReduceLROnPlateau 相同；
          參數的預設值
    行為  第 patience + 1 個沒有進步的步驟才降，一有進步就重新數；第一個 metric 一定比較好；
          threshold 是 0 時再小的進步也算；cooldown；
          四種門檻，恰好在門檻上不算進步；負的 metric；不低於 min_lr，也不把原本就低於 min_lr 的調高；
          1e-8 以下的改變不做；每個群組；在別處改過的學習率；NaN 算沒有進步；不合法的 factor、mode 拋出 ValueError
    禁用  torch.optim.lr_scheduler.ReduceLROnPlateau（包括繼承它）

範例
    >>> optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.5)
    >>> scheduler = PlateauLR(optimizer, factor=0.5, patience=1)
    >>> for loss in [1.0, 0.8, 0.8, 0.9, 0.7]:
    ...     scheduler.step(loss)
    ...     print(optimizer.param_groups[0]["lr"])
    0.5
    0.5
    0.5
    0.25
    0.25

面試追問
    1. 該看訓練損失還是驗證損失？驗證指標的雜訊很大時，patience、threshold、cooldown 怎麼選？
    2. 與早停一起用時，兩個 patience 該怎麼配合？
    3. 多卡訓練時各 rank 的 metric 略有不同，會發生什麼事？
"""

import math

import torch
from torch import nn
from torch.optim import Optimizer


class PlateauLR:
    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        raise NotImplementedError("TODO 069")

    def step(self, metric: float) -> None:
        """記下一個 metric，需要時降低各群組的學習率。"""
        raise NotImplementedError("TODO 069")
