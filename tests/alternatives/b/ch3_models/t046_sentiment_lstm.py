"""046：自己依長度排序再 pack，解開後 gather，最後排回原來的順序。"""

import torch
from torch import nn
from torch.nn.utils import rnn


class SentimentLSTM(nn.Module):
    def __init__(self, vocab_size, embed_size, hidden_size, num_classes, num_layers=1, pad_id=0):
        super().__init__()
        self.pad_id = pad_id
        self.embedding = nn.Embedding(vocab_size, embed_size, pad_id)
        self.lstm = nn.LSTM(embed_size, hidden_size, num_layers, batch_first=True)
        self.fc = nn.Linear(hidden_size, num_classes)
        self.reset()

    def reset(self):
        nn.init.uniform_(self.embedding.weight, -0.5, 0.5)
        with torch.no_grad():
            self.embedding.weight[self.pad_id].zero_()

    def forward(self, tokens, lengths):
        longest_first, order = lengths.sort(descending=True)
        words = self.embedding(tokens.index_select(0, order))
        packed = rnn.pack_padded_sequence(words, longest_first.tolist(), batch_first=True)
        out, _ = rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        where = (longest_first - 1)[:, None, None].expand(-1, 1, out.size(2))
        return self.fc(out.gather(1, where).squeeze(1))[order.argsort()]
