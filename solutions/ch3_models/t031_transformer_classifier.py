"""031 · 使用 torch.nn.Transformer 實現一個文本分類模型：參考解"""

import torch
from torch import Tensor, nn


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
    ) -> None:
        super().__init__()
        self.max_seq_length, self.pad_id = max_seq_length, pad_id
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.position = nn.Embedding(max_seq_length, embed_size)
        layer = nn.TransformerEncoderLayer(embed_size, num_heads, dim_feedforward=4 * embed_size, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, num_layers, enable_nested_tensor=False)
        self.fc = nn.Linear(embed_size, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) -> logits (B, num_classes)。"""
        length = tokens.shape[1]
        if length > self.max_seq_length:
            raise ValueError(f"長度 {length} 超過 max_seq_length={self.max_seq_length}")
        real = tokens != self.pad_id
        x = self.embedding(tokens) + self.position(torch.arange(length, device=tokens.device))
        # 整列都遮掉時，推論的快速路徑會算出 NaN：那一列就不遮，反正下面的平均不會用到它。
        masked = ~real & real.any(dim=1, keepdim=True)
        x = self.encoder(x, src_key_padding_mask=masked)
        # 只平均真正的 token；空的一列是 0 / 1。
        weight = real.unsqueeze(-1).to(x.dtype)
        return self.fc((x * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1))
