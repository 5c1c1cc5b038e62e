"""041：逐樣本的迴圈，每個樣本只取看得見的。"""

import math

import torch
import torch.nn.functional as F
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, embed_size, causal=False):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(embed_size, embed_size) for _ in range(3))
        self.causal = causal

    def forward(self, x, mask=None):
        outs, rows = [], []
        for b, sample in enumerate(x):
            t, e = sample.shape
            bias = sample.new_zeros(t, t)
            if self.causal:
                bias = bias.masked_fill(torch.triu(torch.ones_like(bias), 1) > 0, -math.inf)
            if mask is not None:
                bias = bias.masked_fill(mask[b].logical_not(), -math.inf)
            empty = (bias == -math.inf).all(1, keepdim=True)
            scores = self.query(sample) @ self.key(sample).t() / math.sqrt(e) + bias.masked_fill(empty, 0)
            w = F.softmax(scores, dim=1) * (~empty)
            rows.append(w)
            outs.append(w @ self.value(sample))
        return torch.stack(outs), torch.stack(rows)
