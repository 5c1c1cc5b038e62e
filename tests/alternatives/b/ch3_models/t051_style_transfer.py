"""051：bmm 的 Gram、extractor 的複本、closure、每步 clamp。"""

import copy

import torch
import torch.nn.functional as F
from torch import nn


def gram_matrix(features):
    b, c, h, w = features.size()
    f = features.reshape(b, c, h * w)
    return torch.bmm(f, f.transpose(1, 2)).div(c * h * w)


class ContentLoss(nn.MSELoss):
    def __init__(self, target):
        super().__init__()
        self.target = target.detach()

    def forward(self, x):
        return super().forward(x, self.target)


class StyleLoss(nn.Module):
    def __init__(self, target_features):
        super().__init__()
        self.target = gram_matrix(target_features.detach())

    def forward(self, x):
        return F.mse_loss(gram_matrix(x), self.target)


def stylize(content, style, extractor, *, steps, lr=0.02, style_weight=1e4, content_weight=1.0):
    network = copy.deepcopy(extractor).eval().requires_grad_(False)
    target_content, target_style = network(content)[-1], network(style)
    criteria = [StyleLoss(features) for features in target_style]
    content_criterion = ContentLoss(target_content)
    image = content.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([image], lr=lr, betas=(0.9, 0.999))

    def closure():
        optimizer.zero_grad()
        features = network(image)
        style_loss = torch.stack([criterion(x) for criterion, x in zip(criteria, features, strict=True)]).sum()
        loss = style_weight * style_loss + content_weight * content_criterion(features[-1])
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
        image.data.clamp_(0, 1)
    return image.detach().clone()
