"""013 · another style: one draw for the place, divmod, narrow, bernoulli; the flip comes first."""

import torch
from torch import nn


class RandomCropFlip(nn.Module):
    def __init__(self, size, p=0.5, *, generator=None):
        super().__init__()
        self.h, self.w = size if isinstance(size, tuple) else (size, size)
        self.register_buffer("p", torch.tensor(float(p), dtype=torch.float64), persistent=False)
        self.generator = generator

    def forward(self, image):
        _, height, width = image.shape
        rows, columns = height - self.h + 1, width - self.w + 1
        if rows < 1 or columns < 1:
            raise ValueError(f"crop {(self.h, self.w)} does not fit in image of shape {tuple(image.shape)}")
        if torch.bernoulli(self.p, generator=self.generator):
            image = image.flip(dims=(2,))
        top, left = divmod(torch.randint(0, rows * columns, (1,), generator=self.generator).item(), columns)
        return image.narrow(1, top, self.h).narrow(2, left, self.w).clone()
