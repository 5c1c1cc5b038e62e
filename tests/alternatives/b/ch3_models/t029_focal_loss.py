"""029 · another style: log-sigmoids of both sides, chosen with where."""

import torch
from torch import nn
from torch.nn.functional import logsigmoid


class FocalLoss(nn.Module):
    def __init__(self, gamma: float = 2.0, alpha: float | None = 0.25, reduction: str = "mean") -> None:
        if reduction not in {"mean", "sum", "none"}:
            raise ValueError(reduction)
        super().__init__()
        self.gamma = gamma
        self.weights = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
        self.reduction = reduction

    def forward(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        log_p, log_q = logsigmoid(logits), logsigmoid(-logits)
        positive = -self.weights[0] * torch.exp(self.gamma * log_q) * log_p
        negative = -self.weights[1] * torch.exp(self.gamma * log_p) * log_q
        loss = torch.where(targets > 0.5, positive, negative)
        match self.reduction:
            case "mean":
                return torch.mean(loss)
            case "sum":
                return torch.sum(loss)
        return loss
