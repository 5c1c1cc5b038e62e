"""012 · another style: a sampler of its own, seeded anew each epoch from (seed, epoch)."""

import random

from torch import Generator
from torch.utils.data import DataLoader, Sampler


class Shuffled(Sampler):
    def __init__(self, size, seed):
        self.size, self.seed, self.epoch = size, seed, 0

    def __len__(self):
        return self.size

    def __iter__(self):
        order = list(range(self.size))
        random.Random(f"{self.seed}/{self.epoch}").shuffle(order)
        self.epoch += 1
        return iter(order)


def make_loader(dataset, batch_size, *, seed=None, drop_last=False):
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}")
    own = random.SystemRandom().getrandbits(60) if seed is None else seed
    sampler = Shuffled(len(dataset), own)
    return DataLoader(dataset, batch_size, sampler=sampler, drop_last=drop_last, generator=Generator())
