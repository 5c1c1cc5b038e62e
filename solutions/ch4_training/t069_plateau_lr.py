"""069 · 指標停滯就降低學習率：參考解"""

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
        if factor >= 1:
            raise ValueError(f"factor 應小於 1，得到 {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode 應為 'min' 或 'max'，得到 {mode!r}")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.min_lr = cooldown, min_lr
        self.best = math.inf if mode == "min" else -math.inf
        self.bad_steps = 0
        self.resting = 0  # 冷卻期還剩幾步

    def step(self, metric: float) -> None:
        """記下一個 metric，需要時降低各群組的學習率。"""
        if self.is_better(metric):
            self.best, self.bad_steps = metric, 0
        else:
            self.bad_steps += 1
        if self.resting > 0:
            self.resting -= 1
            self.bad_steps = 0
        if self.bad_steps > self.patience:
            self.reduce()
            self.resting, self.bad_steps = self.cooldown, 0

    def is_better(self, metric: float) -> bool:
        change = -self.threshold if self.mode == "min" else self.threshold
        # 乘以 (1 + change)，不是加 best · change：best 還是 inf 時 inf − inf 是 NaN，永遠不會比較好。
        target = self.best * (1 + change) if self.threshold_mode == "rel" else self.best + change
        # 寫成「比較好」而不是「not 比較差」：NaN 的任何比較都是 False，自然不算進步。
        return metric < target if self.mode == "min" else metric > target

    def reduce(self) -> None:
        for group in self.optimizer.param_groups:
            lr = max(group["lr"] * self.factor, self.min_lr)
            if group["lr"] - lr > 1e-8:
                group["lr"] = lr
