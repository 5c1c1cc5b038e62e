"""012 · another style: a batch sampler built by hand, one generator for both draws."""

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler


def make_loader(dataset, batch_size, *, seed=None, drop_last=False):
    g = torch.Generator()
    if seed is None:
        g.seed()
    else:
        g.manual_seed(seed)
    batches = BatchSampler(RandomSampler(dataset, generator=g), batch_size, drop_last)
    return DataLoader(dataset, batch_sampler=batches, generator=g)
