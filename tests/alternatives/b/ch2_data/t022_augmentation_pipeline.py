"""022 · another style: functional calls on floats, the resized crop and the colour drawn by hand."""

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF


def _to_float(image):
    if torch.is_tensor(image):
        return image.float() / 255
    return TF.to_tensor(image)


def _standardise(x, mean, std):
    mean = torch.tensor(mean, device=x.device)[:, None, None]
    std = torch.tensor(std, device=x.device)[:, None, None]
    return (x - mean) / std


def train_transform(size, mean, std):
    def apply(image):
        x = _to_float(image)
        height, width = x.shape[1:]
        side = min(height, width)
        side = int(torch.randint(max(side // 2, 1), side + 1, ()))
        top = int(torch.randint(height - side + 1, ()))
        left = int(torch.randint(width - side + 1, ()))
        x = TF.resized_crop(x, top, left, side, side, [size, size], InterpolationMode.BICUBIC, antialias=True)
        if torch.rand(()) < 0.3:
            x = TF.hflip(x)
        if torch.rand(()) < 0.1:
            x = TF.rgb_to_grayscale(x, 3)
        return _standardise(x, mean, std)

    return apply


def eval_transform(size, mean, std):
    def apply(image):
        x = _to_float(image)
        x = TF.resize(x, size, antialias=True)
        return _standardise(TF.center_crop(x, size), mean, std)

    return apply
