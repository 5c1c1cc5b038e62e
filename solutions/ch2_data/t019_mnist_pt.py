"""019 · MNIST 存成 pt 檔：參考解"""

import os
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision.datasets import MNIST


def mnist_to_pt(root: str | Path, path: str | Path, *, train: bool = True) -> int:
    """-> 寫了幾個樣本。"""
    dataset, path = MNIST(root, train=train), Path(path)
    content = {"images": dataset.data, "labels": dataset.targets}  # uint8：float32 要四倍的空間
    # 先寫到同一個資料夾的暫存檔再換名：換名不會只做一半，跨磁碟的搬移卻會。
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save(content, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(dataset)


def load_pt(path: str | Path) -> TensorDataset:
    """-> images (N, 1, 28, 28)、labels (N,)。"""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except Exception as error:  # 壞法不同，例外也不同：EOFError、KeyError、RuntimeError、UnpicklingError……
        raise ValueError(f"{path} 不是完整的 torch 檔案") from error
    match content:
        case {"images": Tensor() as images, "labels": Tensor() as labels}:
            return TensorDataset(images.unsqueeze(1).float() / 255, labels.long())
    raise ValueError(f"{path} 裡不是 MNIST")
