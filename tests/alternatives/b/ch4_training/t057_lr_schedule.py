"""057 · another style: two phases, one after the other in a SequentialLR."""

import math

from torch.optim.lr_scheduler import LambdaLR, SequentialLR


def warmup_cosine(optimizer, warmup_steps, total_steps, *, min_ratio=0.0):
    decay_steps = total_steps - warmup_steps
    if decay_steps <= 0:
        raise ValueError(f"{total_steps} steps leave nothing after a warmup of {warmup_steps}")

    class Cosine:
        def __call__(self, step):
            share = min(step, decay_steps) / decay_steps
            return min_ratio + (1 - min_ratio) * (1 + math.cos(math.pi * share)) / 2

    if not warmup_steps:
        return LambdaLR(optimizer, Cosine())
    warmup = LambdaLR(optimizer, lambda step: step / warmup_steps)
    cosine = LambdaLR(optimizer, Cosine())
    return SequentialLR(optimizer, [warmup, cosine], [warmup_steps])
