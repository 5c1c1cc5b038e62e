"""057 · another style: a subclass of LRScheduler."""

from math import cos, pi

from torch.optim.lr_scheduler import LRScheduler


class WarmupCosine(LRScheduler):
    def __init__(self, optimizer, warmup, total, floor):
        self.warmup, self.length, self.floor = warmup, total - warmup, floor
        super().__init__(optimizer)

    def get_lr(self):
        done = self.last_epoch - self.warmup
        if done < 0:
            factor = self.last_epoch / self.warmup
        elif done < self.length:
            factor = self.floor + (1 - self.floor) * cos(pi * done / self.length / 2) ** 2
        else:
            factor = self.floor
        return [factor * base for base in self.base_lrs]


def warmup_cosine(optimizer, warmup_steps, total_steps, *, min_ratio=0.0):
    if not total_steps > warmup_steps:
        raise ValueError(f"total_steps={total_steps} must be above warmup_steps={warmup_steps}")
    return WarmupCosine(optimizer, warmup_steps, total_steps, min_ratio)
