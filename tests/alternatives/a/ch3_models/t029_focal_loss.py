"""029 · another style: torchvision's steps (sigmoid, bce_with_logits, p_t), the power kept off zero."""

import torch.nn.functional as F
from torch import nn


class FocalLoss(nn.Module):
    REDUCTIONS = {"none": lambda x: x, "mean": lambda x: x.mean(), "sum": lambda x: x.sum()}

    def __init__(self, gamma=2.0, alpha=0.25, reduction="mean"):
        super().__init__()
        if reduction not in self.REDUCTIONS:
            raise ValueError(f"unknown reduction: {reduction}")
        self.gamma = gamma
        self.alpha = alpha
        self.reduce = self.REDUCTIONS[reduction]

    def forward(self, logits, targets):
        p = logits.sigmoid()
        ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        p_t = p * targets + (1 - p) * (1 - targets)
        loss = (1 - p_t).clamp(min=1e-12) ** self.gamma * ce
        if self.alpha is not None:
            loss = (self.alpha * targets + (1 - self.alpha) * (1 - targets)) * loss
        return self.reduce(loss)
