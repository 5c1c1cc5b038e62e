"""019 · another style: floats in a list, a temporary file of tempfile's, errors told apart one by one."""

import os
import pickle
import tempfile
import zipfile

import torch
from torch.utils.data import TensorDataset
from torchvision.datasets import MNIST
from torchvision.transforms.functional import to_tensor


def mnist_to_pt(root, path, *, train=True):
    data = MNIST(root=root, train=train, download=False)
    images = torch.stack([to_tensor(image) for image, _ in data])
    labels = torch.tensor([label for _, label in data])
    handle, name = tempfile.mkstemp(dir=os.path.dirname(os.path.abspath(path)))
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(["mnist", images, labels], file)
        os.replace(name, path)
    except BaseException:
        os.remove(name)
        raise
    return images.shape[0]


def load_pt(path):
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path}: not written by torch.save")
        file.seek(0)
        try:
            found = torch.load(file, weights_only=True)
        except (RuntimeError, EOFError, KeyError, pickle.UnpicklingError) as error:
            raise ValueError(f"{path}: {error}") from None
    if not isinstance(found, list) or len(found) != 3 or found[0] != "mnist":
        raise ValueError(f"{path}: something else is inside")
    return TensorDataset(found[1], found[2])
