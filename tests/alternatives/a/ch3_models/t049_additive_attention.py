"""049: −inf and nan_to_num, bmm, unsqueezed everywhere."""

import torch
import torch.nn as nn


class AdditiveAttention(nn.Module):
    def __init__(self, query_size, key_size, attn_size):
        super().__init__()
        self.v = nn.Linear(attn_size, 1, bias=False)
        self.w_key = nn.Linear(key_size, attn_size, bias=False)
        self.w_query = nn.Linear(query_size, attn_size, bias=False)

    def forward(self, query, keys, mask=None):
        features = self.w_query(query).unsqueeze(1).expand(-1, keys.size(1), -1) + self.w_key(keys)
        scores = self.v(features.tanh())  # (B, T, 1)
        if mask is not None:
            scores = scores.masked_fill(mask.unsqueeze(-1).logical_not(), float("-inf"))
        # masked_fill's backward clears the masked places, so that no NaN comes through.
        weights = torch.nan_to_num(torch.softmax(scores, dim=1))
        context = torch.bmm(weights.transpose(1, 2), keys)
        return context[:, 0, :], weights[:, :, 0]
