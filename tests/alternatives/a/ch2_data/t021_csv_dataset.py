"""021 · another style: DictReader and arrays; a stratified split by largest remainders, a loader with a sampler."""

import csv
import math
import random
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Subset, SubsetRandomSampler


class CsvDataset(Dataset):
    def __init__(self, path, label_column):
        path = Path(path)
        rows, names = [], []
        with path.open(newline="", encoding="utf-8") as stream:
            table = csv.DictReader(stream)
            columns = list(table.fieldnames or [])
            if not columns:
                raise ValueError(f"{path.name} is empty")
            if label_column not in columns:
                raise ValueError(f"no column {label_column}")
            self.feature_names = [c for c in columns if c != label_column]
            for record in table:
                names.append(record[label_column])
                rows.append([self._parse(record[c], c, table.line_num) for c in self.feature_names])
        if not rows:
            raise ValueError(f"{path.name} has no rows")
        self.x = np.asarray(rows, dtype=np.float32)
        self.classes, self.y = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
        self.classes = [str(c) for c in self.classes]

    @staticmethod
    def _parse(cell, column, line):
        try:
            return float(cell)
        except (TypeError, ValueError) as error:
            raise ValueError(f"line {line}, column {column}: {cell!r}") from error

    def __len__(self):
        return self.x.shape[0]

    def __getitem__(self, i):
        return torch.from_numpy(self.x[i].copy()), int(self.y[i])


def make_loaders(dataset, batch_size, *, val_fraction=0.2, seed=0):
    dice = random.Random(seed)
    groups = {}
    for i in range(len(dataset)):
        groups.setdefault(int(dataset[i][1]), []).append(i)
    total = round(len(dataset) * val_fraction)
    exact = {k: len(g) * val_fraction for k, g in groups.items()}
    take = {k: math.floor(v) for k, v in exact.items()}
    for k in sorted(groups, key=lambda k: take[k] - exact[k]):
        if sum(take.values()) < total:
            take[k] += 1
    val, train = [], []
    for k in sorted(groups):
        dice.shuffle(groups[k])
        val += groups[k][: take[k]]
        train += groups[k][take[k] :]
    g = torch.Generator()
    g.manual_seed(seed)
    return (
        DataLoader(dataset, batch_size=batch_size, sampler=SubsetRandomSampler(train, generator=g)),
        DataLoader(Subset(dataset, sorted(val)), batch_size=batch_size),
    )
