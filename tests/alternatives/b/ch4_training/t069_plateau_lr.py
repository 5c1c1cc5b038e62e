"""069 · another style: a subclass of LRScheduler that tells the comparison by a table."""

import math

from torch.optim.lr_scheduler import LRScheduler

TARGETS = {
    ("min", "rel"): lambda best, t: best * (1.0 - t),
    ("min", "abs"): lambda best, t: best - t,
    ("max", "rel"): lambda best, t: best * (1.0 + t),
    ("max", "abs"): lambda best, t: best + t,
}


class PlateauLR(LRScheduler):
    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0.0,
    ):
        if (mode, threshold_mode) not in TARGETS:
            raise ValueError(f"mode={mode!r}, threshold_mode={threshold_mode!r}")
        if factor >= 1.0:
            raise ValueError(f"factor should be below 1, not {factor}")
        self.optimizer = optimizer
        self.settings = mode, TARGETS[mode, threshold_mode], threshold
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr
        self.best, self.wait, self.counter = {"min": math.inf, "max": -math.inf}[mode], 0, 0

    def step(self, metric):
        mode, target, threshold = self.settings
        limit = target(self.best, threshold)
        better = metric < limit if mode == "min" else metric > limit
        self.best = metric if better else self.best
        self.wait = 0 if better or self.counter else self.wait + 1
        self.counter = max(0, self.counter - 1)
        if self.wait > self.patience:
            self.counter, self.wait = self.cooldown, 0
            for group in self.optimizer.param_groups:
                old, new = group["lr"], max(group["lr"] * self.factor, self.min_lr)
                if old - new > 1e-8:
                    group["lr"] = new
