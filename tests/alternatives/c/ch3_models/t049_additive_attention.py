"""049: one step of the sequence at a time, and the empty samples given a key that they then lose."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    def __init__(self, query_size: int, key_size: int, attn_size: int) -> None:
        super().__init__()
        self.w_query = nn.Linear(query_size, attn_size, bias=False)
        self.w_key = nn.Linear(key_size, attn_size, bias=False)
        self.v = nn.Linear(attn_size, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        projected = self.w_query(query)
        scores = [self.v(torch.tanh(projected + self.w_key(key))) for key in keys.unbind(dim=1)]
        scores = torch.cat(scores, dim=1)
        if mask is None:
            weights = F.softmax(scores, dim=1)
        else:
            some = mask.any(dim=1, keepdim=True)
            bias = torch.zeros_like(scores)
            bias[~mask & some] = -torch.inf
            weights = F.softmax(scores + bias, dim=1) * some
        return sum(w[:, None] * key for w, key in zip(weights.unbind(1), keys.unbind(1), strict=True)), weights
