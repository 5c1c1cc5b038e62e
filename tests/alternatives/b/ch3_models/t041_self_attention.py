"""041：自己寫穩定的 softmax：先減去看得見的最大值，遮住的乘 0，再除以總和。"""

import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, embed_size: int, causal: bool = False):
        super().__init__()
        self.E = embed_size
        self.causal = causal
        self.value = nn.Linear(embed_size, embed_size, bias=True)
        self.query = nn.Linear(embed_size, embed_size, bias=True)
        self.key = nn.Linear(embed_size, embed_size, bias=True)

    def forward(self, x, mask=None):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = torch.bmm(q, k.transpose(1, 2)) / self.E**0.5
        time = torch.arange(x.size(1), device=x.device)
        keep = (time[:, None] >= time[None, :]) if self.causal else torch.ones_like(scores[0], dtype=torch.bool)
        keep = keep.expand_as(scores)
        if mask is not None:
            keep = keep.logical_and(mask.view(x.size(0), 1, -1))
        lowest = torch.finfo(scores.dtype).min
        scores = torch.where(keep, scores, lowest)
        top = scores.amax(dim=-1, keepdim=True).detach()
        exp = torch.exp(scores - top) * keep
        total = exp.sum(dim=-1, keepdim=True)
        weights = exp / torch.where(total > 0, total, 1.0)
        return torch.bmm(weights, v), weights
