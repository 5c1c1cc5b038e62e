"""049: einsum on the weights themselves, a softmax by hand, renormalised after the mask."""

import torch
from torch import nn


class AdditiveAttention(nn.Module):
    def __init__(self, query_size: int, key_size: int, attn_size: int):
        super().__init__()
        self.w_query, self.w_key, self.v = (
            nn.Linear(n, m, bias=False) for n, m in [(query_size, attn_size), (key_size, attn_size), (attn_size, 1)]
        )

    def forward(self, query, keys, mask=None):
        q = torch.einsum("aq,bq->ba", self.w_query.weight, query)
        k = torch.einsum("ak,btk->bta", self.w_key.weight, keys)
        scores = torch.einsum("a,bta->bt", self.v.weight[0], torch.tanh(q.unsqueeze(1) + k))
        if mask is None:
            mask = torch.ones_like(scores, dtype=torch.bool)
        lowest = torch.finfo(scores.dtype).min
        top = torch.where(mask, scores, lowest).amax(1, keepdim=True).detach()
        power = torch.where(mask, scores - top, lowest).exp() * mask
        total = power.sum(1, keepdim=True)
        weights = power / torch.where(total == 0, 1, total)
        return torch.einsum("bt,btk->bk", weights, keys), weights
