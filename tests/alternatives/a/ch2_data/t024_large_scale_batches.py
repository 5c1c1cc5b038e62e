"""024 · another style: opens the file when it is first read, two passes over the data."""

import os

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class MemmapDataset(Dataset):
    def __init__(self, path, shape, dtype="float32"):
        self.path = os.fspath(path)
        self.rows, self.columns = shape
        self.dtype = np.dtype(dtype)
        actual = os.stat(self.path).st_size
        if actual != self.rows * self.columns * self.dtype.itemsize:
            raise ValueError(f"size of file is {actual}, which does not fit {shape} of {dtype}")
        self._data = None

    def __getstate__(self):
        state = self.__dict__.copy()
        state["_data"] = None
        return state

    def __len__(self):
        return self.rows

    def __getitem__(self, index):
        if self._data is None:
            self._data = np.memmap(self.path, dtype=self.dtype, mode="r", shape=(self.rows, self.columns))
        return torch.tensor(self._data[index])


def streaming_mean_std(dataset, *, batch_size=256, num_workers=0):
    loader = DataLoader(dataset, batch_size=batch_size, num_workers=num_workers)
    size = len(dataset)
    mean = sum(batch.to(torch.float64).sum(dim=0) for batch in loader) / size
    squares = sum(((batch.to(torch.float64) - mean) ** 2).sum(dim=0) for batch in loader)
    return mean, torch.sqrt(squares / size)
