"""019 · another style: one uint8 matrix with the label as last column, written elsewhere and moved."""

import shutil
import tempfile
from pathlib import Path

import torch
from torch.utils.data import TensorDataset
from torchvision import datasets


def mnist_to_pt(root, path, *, train=True):
    raw = datasets.MNIST(str(root), train)
    table = torch.cat([raw.data.flatten(1), raw.targets.to(torch.uint8)[:, None]], dim=1)
    with tempfile.TemporaryDirectory() as elsewhere:
        draft = Path(elsewhere) / "draft.pt"
        torch.save(table, draft)
        shutil.move(draft, path)
    return len(table)


def load_pt(path):
    if not Path(path).exists():
        raise FileNotFoundError(path)
    try:
        table = torch.load(path, weights_only=True)
        assert table.dtype == torch.uint8 and table.shape[1] == 785
    except Exception as error:
        raise ValueError(f"cannot read {path}") from error
    images, labels = table.split([784, 1], dim=1)
    return TensorDataset(images.reshape(-1, 1, 28, 28).to(torch.float32).div_(255), labels[:, 0].to(torch.int64))
