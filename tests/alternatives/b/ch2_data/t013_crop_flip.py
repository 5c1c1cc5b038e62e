"""013 · another style: torchvision's functional transforms, offsets from floor(u * n)."""

import torch
from torch import nn
from torchvision.transforms import functional as TF


class RandomCropFlip(nn.Module):
    def __init__(self, size, p=0.5, *, generator=None):
        super().__init__()
        self.size = [size] * 2 if isinstance(size, int) else list(size)
        self.p = p
        self.generator = generator

    def forward(self, image):
        u = torch.rand(3, generator=self.generator, dtype=torch.float64).tolist()
        starts = []
        for wanted, there, x in zip(self.size, image.shape[1:], u, strict=False):
            if wanted > there:
                raise ValueError(f"cannot crop {wanted} out of {there}")
            starts.append(int(x * (there - wanted + 1)))
        out = TF.crop(image, *starts, *self.size)
        if u[2] < self.p:
            out = TF.hflip(out)
        return out
