"""024 · another style: reads each row from the file by its offset; sums of data shifted by the first row."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset


class MemmapDataset(Dataset):
    def __init__(self, path, shape: tuple[int, int], dtype: str = "float32") -> None:
        self.path, self.shape, self.dtype = Path(path), shape, dtype
        self.bytes_per_row = shape[1] * np.dtype(dtype).itemsize
        size = self.path.stat().st_size
        if size != shape[0] * self.bytes_per_row:
            raise ValueError(f"expected {shape[0] * self.bytes_per_row} bytes, found {size}")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Tensor:
        values = np.fromfile(self.path, dtype=self.dtype, count=self.shape[1], offset=index * self.bytes_per_row)
        return torch.from_numpy(values)


def streaming_mean_std(dataset: Dataset, *, batch_size: int = 256, num_workers: int = 0) -> tuple[Tensor, Tensor]:
    shift = dataset[0].double()
    total, first, second = 0, torch.zeros_like(shift), torch.zeros_like(shift)
    for batch in DataLoader(dataset, batch_size, num_workers=num_workers):
        shifted = batch.double() - shift
        total += batch.size(0)
        first += shifted.sum(0)
        second += (shifted * shifted).sum(0)
    mean = first / total
    return shift + mean, (second / total - mean**2).clamp_min(0).sqrt()
