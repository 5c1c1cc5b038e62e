"""046 · LSTM 情感分析：參考解"""

import torch
from torch import Tensor, nn


class SentimentLSTM(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        num_classes: int,
        num_layers: int = 1,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        # padding_idx 同時做了兩件事：那一列的初值是 0，反向時也不給它梯度。
        self.embedding = nn.Embedding(vocab_size, embed_size, padding_idx=pad_id)
        self.lstm = nn.LSTM(embed_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, num_classes)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """tokens (B, T)、lengths (B,) -> logits (B, num_classes)。"""
        # 單向的 LSTM 不看後面：補在句尾的 pad 動不到前面的 h，取出第 lengths − 1 步就好，不必 pack。
        out, _ = self.lstm(self.embedding(tokens))
        rows = torch.arange(len(tokens), device=tokens.device)
        return self.fc(out[rows, lengths - 1])
