"""035: padding_idx in both embeddings, tgt may hold pad_id too; two GRUs, the decoder starts at the last real state."""

import torch
from torch import nn


class LuongAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.attn = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, decoder, encoder, mask=None):
        scores = torch.bmm(self.attn(decoder), encoder.mT)
        if mask is None:
            mask = torch.ones(encoder.shape[:2], dtype=torch.bool, device=encoder.device)
        padding = ~mask[:, None, :]
        weights = scores.masked_fill(padding, torch.finfo(scores.dtype).min).softmax(dim=2).masked_fill(padding, 0.0)
        return torch.bmm(weights, encoder), weights


class AttentionSeq2Seq(nn.Module):
    def __init__(self, src_vocab, tgt_vocab, embed_size, hidden_size, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.src_embedding = nn.Embedding(src_vocab, embed_size, padding_idx=pad_id)
        self.tgt_embedding = nn.Embedding(tgt_vocab, embed_size, padding_idx=pad_id)
        self.encoder = nn.GRU(embed_size, hidden_size, batch_first=True)
        self.decoder = nn.GRU(embed_size, hidden_size, batch_first=True)
        self.attention = LuongAttention(hidden_size)
        self.output = nn.Linear(2 * hidden_size, tgt_vocab)

    def forward(self, src, tgt):
        mask = src != self.pad_id
        states, _ = self.encoder(self.src_embedding(src))
        last = mask.sum(dim=1) - 1
        start = states.gather(1, last[:, None, None].expand(-1, 1, states.size(2))).transpose(0, 1).contiguous()
        steps, _ = self.decoder(self.tgt_embedding(tgt), start)
        context, _ = self.attention(steps, states, mask)
        return self.output(torch.cat([context, steps], dim=2))
