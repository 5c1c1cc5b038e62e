"""041 · 自注意力：參考解"""

import math

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    def __init__(self, embed_size: int, causal: bool = False) -> None:
        super().__init__()
        self.embed_size, self.causal = embed_size, causal
        self.query = nn.Linear(embed_size, embed_size)
        self.key = nn.Linear(embed_size, embed_size)
        self.value = nn.Linear(embed_size, embed_size)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (B, T, E)、mask (B, T)，True 是真的 -> out (B, T, E)、weights (B, T, T)。"""
        steps = x.shape[1]
        hidden = torch.zeros(1, steps, steps, dtype=torch.bool, device=x.device)
        if self.causal:
            hidden = torch.ones_like(hidden).triu(1)  # 第 i 列遮住 j > i
        if mask is not None:
            hidden = hidden | ~mask[:, None, :]  # 遮的是 key：最後一維
        scores = self.query(x) @ self.key(x).mT / math.sqrt(self.embed_size)
        # 填有限的最小值而不是 −inf：整列都遮住時 softmax 才不會是 NaN；再把遮住的清成 0，那一列就全是 0。
        weights = scores.masked_fill(hidden, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(hidden, 0)
        return weights @ self.value(x), weights
