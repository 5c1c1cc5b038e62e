"""046：一句一句讀；不用 padding_idx，以遮罩讓 pad 那一列沒有梯度。"""

import torch
from torch import nn


class SentimentLSTM(nn.Module):
    def __init__(self, vocab_size, embed_size, hidden_size, num_classes, num_layers=1, pad_id=0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        keep = torch.ones(vocab_size, 1)
        keep[pad_id] = 0
        self.register_buffer("keep", keep, persistent=False)
        self.embedding.weight.data.mul_(keep)
        self.embedding.weight.register_hook(lambda gradient: gradient * self.keep)
        self.lstm = nn.LSTM(embed_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, num_classes)

    def forward(self, tokens, lengths):
        last = []
        for sentence, length in zip(tokens, lengths.tolist(), strict=True):
            out, _ = self.lstm(self.embedding(sentence[:length]))
            last.append(out[-1])
        return self.fc(torch.stack(last))
