"""018 · another style: islice over the range, workers that live on from epoch to epoch."""

from itertools import islice

import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler, get_worker_info


class ShardedRange(IterableDataset):
    def __init__(self, start: int, stop: int) -> None:
        self.start = start
        self.count = stop - start

    def __len__(self) -> int:
        return self.count

    def __iter__(self):
        everything = range(self.start, self.start + self.count)
        info = get_worker_info()
        return iter(everything) if not info else islice(everything, info.id, None, info.num_workers)


def make_loader(dataset, batch_size, num_workers, *, seed=0):
    settings = {"num_workers": num_workers, "generator": torch.Generator().manual_seed(seed)}
    settings["persistent_workers"] = num_workers > 0
    if isinstance(dataset, IterableDataset):
        return DataLoader(dataset, batch_size=batch_size, **settings)
    batches = BatchSampler(SequentialSampler(dataset), batch_size, drop_last=False)
    return DataLoader(dataset, batch_sampler=batches, **settings)
