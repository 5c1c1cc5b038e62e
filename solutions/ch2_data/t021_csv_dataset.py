"""021 · 自定義的 CSV 資料集：參考解"""

import csv
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, random_split


class CsvDataset(Dataset):
    def __init__(self, path: str | Path, label_column: str) -> None:
        features, labels = [], []
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.reader(file)  # 不用 split(",")：雙引號裡可以有逗號
            header = next(reader, [])
            if label_column not in header:
                raise ValueError(f"{path} 沒有 {label_column!r} 這一欄，只有 {header}")
            column = header.index(label_column)
            self.feature_names = header[:column] + header[column + 1 :]
            for row in filter(None, reader):
                labels.append(row.pop(column))
                # line_num 數的是檔案的行；自己數樣本的話，空行之後就不準了。
                features.append(_numbers(row, self.feature_names, reader.line_num))
        if not labels:
            raise ValueError(f"{path} 一個樣本也沒有")
        self.classes = sorted(set(labels))
        index = {name: i for i, name in enumerate(self.classes)}
        self.features = torch.tensor(features, dtype=torch.float32)
        self.labels = [index[label] for label in labels]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """-> 特徵 (d,)、標籤。"""
        return self.features[index], self.labels[index]


def _numbers(cells: list[str], names: list[str], line: int) -> list[float]:
    numbers = []
    for name, cell in zip(names, cells, strict=True):
        try:
            numbers.append(float(cell))
        except ValueError:
            raise ValueError(f"第 {line} 行的 {name} 不是數字：{cell!r}") from None
    return numbers


def make_loaders(
    dataset: Dataset, batch_size: int, *, val_fraction: float = 0.2, seed: int = 0
) -> tuple[DataLoader, DataLoader]:
    """-> 訓練、驗證。"""
    # 自己的 generator 先切分，再逐 epoch 打亂訓練集：兩者都只由 seed 決定。
    generator = torch.Generator().manual_seed(seed)
    n_val = round(len(dataset) * val_fraction)
    train, val = random_split(dataset, [len(dataset) - n_val, n_val], generator)
    return DataLoader(train, batch_size, shuffle=True, generator=generator), DataLoader(val, batch_size)
