"""069 · another style: no best at first, one comparison for both modes by the sign, counters that run down."""

import math

from torch.optim import Optimizer


class PlateauLR:
    def __init__(
        self,
        optimizer: Optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0.0,
    ):
        try:
            self.sign = {"min": 1, "max": -1}[mode]
        except KeyError:
            raise ValueError(f"unknown mode: {mode}") from None
        if not factor < 1.0:
            raise ValueError(f"factor={factor} does not reduce anything")
        self.groups = optimizer.param_groups
        self.factor, self.floor = factor, min_lr
        self.patience, self.cooldown = patience, cooldown
        self.relative = threshold if threshold_mode == "rel" else 0
        self.absolute = threshold if threshold_mode == "abs" else 0
        self.best = None
        self.credit = patience
        self.pause = 0

    def progressed(self, metric):
        if math.isnan(metric):
            return False
        if self.best is None:
            return True
        goal = self.best - self.sign * (self.relative * self.best + self.absolute)
        return self.sign * metric < self.sign * goal

    def step(self, metric):
        progressed = self.progressed(metric)
        if progressed:
            self.best = metric
        if progressed or self.pause:
            self.credit = self.patience
            self.pause = max(self.pause - 1, 0)
            return
        self.credit -= 1
        if self.credit < 0:
            for group in self.groups:
                target = max(self.floor, self.factor * group["lr"])
                group["lr"] = target if group["lr"] - target > 1e-8 else group["lr"]
            self.credit, self.pause = self.patience, self.cooldown
