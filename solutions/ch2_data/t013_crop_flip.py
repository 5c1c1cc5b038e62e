"""013 · 隨機裁剪與水平翻轉：參考解"""

import torch
from torch import Tensor, nn


class RandomCropFlip(nn.Module):
    def __init__(
        self, size: int | tuple[int, int], p: float = 0.5, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.size = (size, size) if isinstance(size, int) else size
        self.p, self.generator = p, generator

    def forward(self, image: Tensor) -> Tensor:
        """image (C, H, W) -> (C, h, w)。"""
        (h, w), (height, width) = self.size, image.shape[-2:]
        if h > height or w > width:
            raise ValueError(f"裁不出 {h}×{w} 的視窗：影像只有 {height}×{width}")
        # randint 不含上限：放得下的位置有 H − h + 1 個，加 1 才到得了最後一列、一行。
        top = int(torch.randint(height - h + 1, (), generator=self.generator))
        left = int(torch.randint(width - w + 1, (), generator=self.generator))
        window = image[:, top : top + h, left : left + w]
        # 另外抽一個數，翻轉才與位置無關；rand 落在 [0, 1)，所以 p = 0 從不翻、p = 1 必翻。
        flip = torch.rand((), generator=self.generator) < self.p
        return window.flip(-1) if flip else window
