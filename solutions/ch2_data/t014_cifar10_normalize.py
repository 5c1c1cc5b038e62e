"""014 · CIFAR-10 與標準化：參考解"""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10
from torchvision.transforms import v2


def make_transform(mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5)) -> Callable:
    """-> PIL 影像到 (3, 高, 寬) 的 transform。"""
    # 三步等於舊的 ToTensor 加 Normalize；除以 255 的是 scale=True，少了它不會有任何錯誤訊息。
    return v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])


def load_cifar10(root: str | Path, *, train: bool = True, transform: Callable | None = None) -> Dataset:
    """-> 樣本為 (影像, 類別編號) 的 Dataset。"""
    try:
        return CIFAR10(root, train=train, transform=transform)
    except RuntimeError as error:  # torchvision 核對每個檔案，缺一個就是 RuntimeError
        raise FileNotFoundError(f"{root} 底下沒有完整的 CIFAR-10 檔案") from error


def denormalize(x: Tensor, mean: Sequence[float] = (0.5, 0.5, 0.5), std: Sequence[float] = (0.5, 0.5, 0.5)) -> Tensor:
    """x (..., 3, H, W) -> (..., 3, H, W)。"""
    # (3, 1, 1) 從右邊對齊，前面不論有幾個 batch 維都能廣播。
    mean, std = (x.new_tensor(values).view(3, 1, 1) for values in (mean, std))
    return x * std + mean
