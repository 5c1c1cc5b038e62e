"""031: a [CLS] token, sinusoidal positions in a buffer, Pre-LN, layers one by one."""

import math

import torch
import torch.nn as nn


class TransformerClassifier(nn.Module):
    def __init__(self, vocab_size, embed_size, num_heads, num_classes, num_layers, max_seq_length, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.tokens = nn.Embedding(vocab_size, embed_size, padding_idx=pad_id)
        self.cls = nn.Parameter(torch.zeros(1, 1, embed_size))
        position = torch.arange(max_seq_length).unsqueeze(1)
        frequency = torch.exp(torch.arange(0, embed_size, 2) * (-math.log(10000.0) / embed_size))
        table = torch.zeros(1, max_seq_length, embed_size)
        table[0, :, 0::2] = torch.sin(position * frequency)
        table[0, :, 1::2] = torch.cos(position * frequency)
        self.register_buffer("table", table, persistent=False)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                embed_size, num_heads, 4 * embed_size, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(embed_size)
        self.head = nn.Linear(embed_size, num_classes)

    def forward(self, tokens):
        B, T = tokens.size()
        if self.table.size(1) < T:
            raise ValueError(f"sequence of length {T} is longer than {self.table.size(1)}")
        x = self.tokens(tokens) + self.table[:, :T]
        x = torch.cat([self.cls.expand(B, -1, -1), x], dim=1)
        keep = torch.ones(B, 1, dtype=torch.bool, device=tokens.device)
        mask = torch.cat([~keep, tokens == self.pad_id], dim=1)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=mask)
        return self.head(self.norm(x[:, 0]))
