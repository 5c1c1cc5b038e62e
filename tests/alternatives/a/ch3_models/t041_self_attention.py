"""041：−inf、einsum，沒有 key 的列以 nan_to_num 變成 0。"""

import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, embed_size, causal=False):
        super().__init__()
        self.scale = embed_size**-0.5
        for name in ("query", "key", "value"):
            setattr(self, name, nn.Linear(embed_size, embed_size))
        self.causal = causal

    def forward(self, x, mask=None):
        B, T, _ = x.shape
        if mask is None:
            mask = torch.ones(B, T, device=x.device).bool()
        visible = mask.unsqueeze(1).expand(B, T, T)
        if self.causal:
            visible = visible & torch.tril(torch.ones(T, T, device=x.device)).bool()
        energy = torch.einsum("bqe,bke->bqk", self.query(x) * self.scale, self.key(x))
        energy = energy.masked_fill(~visible, float("-inf"))
        # 這樣的梯度不是 NaN：masked_fill 的反向把遮住的位置清成 0。
        attention = torch.nan_to_num(torch.softmax(energy, dim=-1))
        return torch.einsum("bqk,bke->bqe", attention, self.value(x)), attention
