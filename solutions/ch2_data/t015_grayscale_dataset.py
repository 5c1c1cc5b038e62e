"""015 · 灰階資料集：參考解"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset


def rgb_to_gray(images: Tensor) -> Tensor:
    """浮點數 (..., 3, H, W) -> (..., 1, H, W)。"""
    r, g, b = images.unbind(-3)
    return (0.299 * r + 0.587 * g + 0.114 * b).unsqueeze(-3)


class _Grayscale(Dataset):
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        image, label = self.dataset[index]  # 只讀一次：dataset[index][0]、dataset[index][1] 會解碼兩次
        if isinstance(image, Image.Image):
            image = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        if not image.is_floating_point():
            image = image.float() / 255  # 先成浮點數再乘係數：uint8 相乘會溢位，取整會丟掉小數
        return rgb_to_gray(image).float(), label


def convert_to_grayscale(dataset: Any) -> Dataset:
    """每一項成為 ((1, H, W) 的 float32, label) 的資料集。"""
    return _Grayscale(dataset)
