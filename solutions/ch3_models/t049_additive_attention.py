"""049 · 加法注意力：參考解"""

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    def __init__(self, query_size: int, key_size: int, attn_size: int) -> None:
        super().__init__()
        self.w_query = nn.Linear(query_size, attn_size, bias=False)
        self.w_key = nn.Linear(key_size, attn_size, bias=False)
        self.v = nn.Linear(attn_size, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """query (B, Q)、keys (B, T, K)、mask (B, T)，True 是真的 -> context (B, K)、weights (B, T)。"""
        energy = torch.tanh(self.w_query(query)[:, None] + self.w_key(keys))  # (B, 1, A) + (B, T, A)
        scores = self.v(energy).squeeze(-1)
        hidden = torch.zeros_like(scores, dtype=torch.bool) if mask is None else ~mask
        # 填有限的最小值而不是 −inf：整列都遮住時 softmax 才不會是 NaN；再把遮住的清成 0，那一列就全是 0。
        weights = scores.masked_fill(hidden, torch.finfo(scores.dtype).min).softmax(-1).masked_fill(hidden, 0)
        return (weights[:, None] @ keys).squeeze(1), weights
