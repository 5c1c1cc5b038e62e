"""022 · 訓練與評估的影像前處理：參考解"""

from collections.abc import Callable, Sequence

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2


def train_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image | Tensor], Tensor]:
    """隨機裁切、翻轉、改變顏色，再標準化：影像 -> float32 (3, size, size)。"""
    augment = [
        v2.RandomResizedCrop(size, antialias=True),  # 先裁：後面的步驟只做小圖
        v2.RandomHorizontalFlip(p=0.5),
        v2.ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3),
    ]
    return v2.Compose([v2.ToImage(), *augment, *_normalized(mean, std)])


def eval_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Callable[[Image.Image | Tensor], Tensor]:
    """短邊縮放到 size、裁正中央，再標準化：影像 -> float32 (3, size, size)。"""
    # Resize(整數) 縮放短邊、保持長寬比；Resize((size, size)) 會壓扁。
    resize = v2.Resize(size, antialias=True)
    return v2.Compose([v2.ToImage(), resize, v2.CenterCrop(size), *_normalized(mean, std)])


def _normalized(mean: Sequence[float], std: Sequence[float]) -> list[v2.Transform]:
    # scale=True 把 0–255 換成 0–1，一定要在 Normalize 之前。
    scale = v2.ToDtype(torch.float32, scale=True)
    return [scale, v2.Normalize(mean, std), v2.ToPureTensor()]
