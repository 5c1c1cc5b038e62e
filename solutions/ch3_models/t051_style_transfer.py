"""051 · 風格遷移：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def gram_matrix(features: Tensor) -> Tensor:
    """features (B, C, H, W) -> 每張圖的 Gram 矩陣 (B, C, C)，除以 C·H·W。"""
    _, c, h, w = features.shape
    flat = features.flatten(2)  # (B, C, H·W)：batch 留著，各圖的 channel 才不會混在一起
    return flat @ flat.mT / (c * h * w)


class ContentLoss(nn.Module):
    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self.register_buffer("target", target.detach())

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> 純量。"""
        return F.mse_loss(x, self.target)


class StyleLoss(nn.Module):
    def __init__(self, target_features: Tensor) -> None:
        super().__init__()
        self.register_buffer("target", gram_matrix(target_features).detach())

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> 純量。"""
        return F.mse_loss(gram_matrix(x), self.target)


def stylize(
    content: Tensor,
    style: Tensor,
    extractor: nn.Module,
    *,
    steps: int,
    lr: float = 0.02,
    style_weight: float = 1e4,
    content_weight: float = 1.0,
) -> Tensor:
    """content (B, 3, H, W)、style (B, 3, H', W') -> content 的內容、style 的風格 (B, 3, H, W)。"""
    with torch.no_grad():
        content_loss = ContentLoss(extractor(content)[-1])
        style_losses = [StyleLoss(features) for features in extractor(style)]
    image = content.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([image], lr=lr)
    for _ in range(steps):
        features = extractor(image)
        style_term = sum(loss(x) for loss, x in zip(style_losses, features, strict=True))
        loss = content_weight * content_loss(features[-1]) + style_weight * style_term
        # 只求 image 的梯度：loss.backward() 會在 extractor 的參數上也留下梯度。
        (image.grad,) = torch.autograd.grad(loss, image)
        optimizer.step()
        with torch.no_grad():
            image.clamp_(0, 1)
    return image.detach()
