"""047: an output filled with eos beforehand; rows that have ended leave the batch."""

import torch
import torch.nn as nn


class Seq2Seq(nn.Module):
    def __init__(self, src_vocab: int, tgt_vocab: int, embed_size: int, hidden_size: int):
        super().__init__()
        self.fc = nn.Linear(hidden_size, tgt_vocab)
        self.decoder = nn.LSTM(embed_size, hidden_size, batch_first=True)
        self.encoder = nn.LSTM(embed_size, hidden_size, batch_first=True)
        self.tgt_embedding = nn.Embedding(tgt_vocab, embed_size)
        self.src_embedding = nn.Embedding(src_vocab, embed_size)

    def encode(self, src):
        return self.encoder(self.src_embedding(src))[1]

    def step(self, tokens, state):
        out, state = self.decoder(self.tgt_embedding(tokens), state)
        return self.fc(out), state

    def forward(self, src, tgt):
        state, logits = self.encode(src), []
        for tokens in tgt.split(1, dim=1):
            scores, state = self.step(tokens, state)
            logits.append(scores)
        return torch.cat(logits, dim=1)


def greedy_decode(model, src, bos_id, eos_id, max_len):
    result = torch.full((src.shape[0], max_len), eos_id, device=src.device)
    with torch.no_grad():
        rows = torch.arange(src.shape[0], device=src.device)
        tokens, (h, c) = torch.full_like(rows, bos_id), model.encode(src)
        for length in range(1, max_len + 1):
            logits, (h, c) = model.step(tokens[:, None], (h, c))
            tokens = logits[:, 0].max(dim=-1).indices
            result[rows, length - 1] = tokens
            going = tokens != eos_id
            rows, tokens, h, c = rows[going], tokens[going], h[:, going], c[:, going]
            if rows.numel() == 0:
                break
    return result[:, :length]
