"""014 · another style: the first transforms, files looked for beforehand, channels one by one."""

import os

import torch
import torchvision
from torchvision import transforms


def make_transform(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)):
    return transforms.Compose([transforms.ToTensor(), transforms.Normalize(list(mean), list(std))])


def load_cifar10(root, *, train=True, transform=None):
    kind = torchvision.datasets.CIFAR10
    names = [name for name, _ in kind.train_list + kind.test_list] + [kind.meta["filename"]]
    for name in names:
        if not os.path.exists(os.path.join(root, kind.base_folder, name)):
            raise FileNotFoundError(f"{name} is not below {root}")
    return kind(root=root, train=train, download=False, transform=transform)


def denormalize(x, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)):
    channels = [c * s + m for c, m, s in zip(x.unbind(dim=-3), mean, std, strict=True)]
    return torch.stack(channels, dim=-3)
