"""051：einsum 的 Gram、凍結後還原的 extractor、最後才 clamp。"""

import torch
from torch import nn


def gram_matrix(features):
    channels, height, width = features.shape[1:]
    return torch.einsum("bchw,bdhw->bcd", features, features) / (channels * height * width)


class ContentLoss(nn.Module):
    def __init__(self, target):
        super().__init__()
        self.target = target.detach().clone()

    def forward(self, x):
        return (x - self.target).pow(2).mean()


class StyleLoss(nn.Module):
    def __init__(self, target_features):
        super().__init__()
        with torch.no_grad():
            self.gram = gram_matrix(target_features)

    def forward(self, x):
        return (gram_matrix(x) - self.gram).pow(2).mean()


def stylize(content, style, extractor, *, steps, lr=0.02, style_weight=1e4, content_weight=1.0):
    learning = [parameter for parameter in extractor.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        content_loss = ContentLoss(extractor(content)[-1])
        style_losses = [StyleLoss(features) for features in extractor(style)]
        image = nn.Parameter(content.clone())
        adam = torch.optim.Adam([image], lr)
        for _ in range(steps):
            adam.zero_grad()
            maps = extractor(image)
            loss = content_weight * content_loss(maps[-1])
            for style_loss, features in zip(style_losses, maps, strict=True):
                loss = loss + style_weight * style_loss(features)
            loss.backward()
            adam.step()
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)
    return image.data.clamp(0, 1)
