"""031: time first, nn.Transformer's encoder alone, a max over the real tokens, the mask as -inf numbers."""

import torch
from torch import nn


class TransformerClassifier(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_heads: int,
        num_classes: int,
        num_layers: int,
        max_seq_length: int,
        pad_id: int = 0,
    ):
        super().__init__()
        self.pad_id = pad_id
        self.word = nn.Embedding(vocab_size, embed_size)
        self.where = nn.Parameter(0.1 * torch.randn(max_seq_length, 1, embed_size))
        whole = nn.Transformer(embed_size, num_heads, num_layers, 0, 4 * embed_size)
        self.encoder = whole.encoder
        self.classify = nn.Sequential(nn.Linear(embed_size, embed_size), nn.Tanh(), nn.Linear(embed_size, num_classes))

    def forward(self, tokens):
        if tokens.shape[1] > len(self.where):
            raise ValueError(f"too long: {tokens.shape[1]} > {len(self.where)}")
        padding = tokens == self.pad_id
        padding[:, 0] = False  # an empty row keeps one token, so that something is left to attend to
        x = self.word(tokens.t()) + self.where[: tokens.shape[1]]
        x = self.encoder(x, src_key_padding_mask=padding)
        x = x.masked_fill(padding.t().unsqueeze(-1), float("-inf")).amax(0)
        return self.classify(x)
