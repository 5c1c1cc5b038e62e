"""035 · 基於注意力機制的模型，用於機器翻譯：參考解"""

import torch
from torch import Tensor, nn


class LuongAttention(nn.Module):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.attn = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, decoder: Tensor, encoder: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """decoder (B, T, H)、encoder (B, S, H)、mask (B, S) -> context (B, T, H)、weights (B, T, S)。"""
        scores = self.attn(decoder) @ encoder.transpose(1, 2)
        if mask is None:
            weights = scores.softmax(dim=-1)
        else:
            # 填最小的有限值而不是 −inf：整列都遮掉時 softmax 不會是 NaN，乘上 mask 之後就是 0。
            real = mask.unsqueeze(1)
            weights = scores.masked_fill(~real, torch.finfo(scores.dtype).min).softmax(dim=-1) * real
        return weights @ encoder, weights


class AttentionSeq2Seq(nn.Module):
    def __init__(self, src_vocab: int, tgt_vocab: int, embed_size: int, hidden_size: int, pad_id: int = 0) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.src_embedding = nn.Embedding(src_vocab, embed_size)
        self.tgt_embedding = nn.Embedding(tgt_vocab, embed_size)
        self.encoder = nn.GRU(embed_size, hidden_size, batch_first=True)
        self.decoder = nn.GRU(embed_size, hidden_size, batch_first=True)
        self.attention = LuongAttention(hidden_size)
        self.combine = nn.Linear(2 * hidden_size, hidden_size)
        self.fc = nn.Linear(hidden_size, tgt_vocab)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        """src (B, S)、tgt (B, T) -> logits (B, T, tgt_vocab)。"""
        mask = src != self.pad_id
        encoded, _ = self.encoder(self.src_embedding(src))
        # 最後的狀態讀過了 padding；要的是最後一個真正的字那一步的（單向的 GRU，它不受後面的 padding 影響）。
        last = mask.sum(dim=1).clamp(min=1) - 1
        state = encoded[torch.arange(len(src), device=src.device), last].unsqueeze(0)
        decoded, _ = self.decoder(self.tgt_embedding(tgt), state.contiguous())
        context, _ = self.attention(decoded, encoded, mask)
        return self.fc(torch.tanh(self.combine(torch.cat([context, decoded], dim=-1))))
