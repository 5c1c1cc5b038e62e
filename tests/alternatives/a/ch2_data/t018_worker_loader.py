"""018 · another style: contiguous blocks, and seeds of its own from one SeedSequence per worker and epoch."""

import math
import random

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class ShardedRange(IterableDataset):
    def __init__(self, start, stop):
        super().__init__()
        self.numbers = range(start, stop)

    def __len__(self):
        return len(self.numbers)

    def __iter__(self):
        info = get_worker_info()
        if info is None:
            yield from self.numbers
            return
        size = math.ceil(len(self.numbers) / info.num_workers)
        yield from self.numbers[info.id * size : (info.id + 1) * size]


def reseed(worker):
    words = np.random.SeedSequence([torch.initial_seed(), worker]).generate_state(3)
    np.random.seed(words[0])
    random.seed(int(words[1]))
    torch.manual_seed(int(words[2]))


def make_loader(dataset, batch_size, num_workers, *, seed=0):
    g = torch.Generator()
    g.manual_seed(seed)
    return DataLoader(dataset, batch_size, num_workers=num_workers, generator=g, worker_init_fn=reseed)
