"""035: a packed bidirectional encoder, an LSTM cell step by step with input feeding, attention by bmm and -inf."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


class LuongAttention(nn.Module):
    def __init__(self, hidden_size):
        super().__init__()
        self.attn = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, decoder, encoder, mask=None):
        energy = torch.bmm(decoder, self.attn.weight.t().expand(len(decoder), -1, -1))
        energy = torch.bmm(energy, encoder.permute(0, 2, 1))
        if mask is not None:
            energy = energy.masked_fill(mask[:, None, :].logical_not(), float("-inf"))
            energy = torch.where(mask.any(-1)[:, None, None], energy, torch.zeros_like(energy))
        weights = F.softmax(energy, dim=2)
        if mask is not None:
            weights = weights.masked_fill(~mask[:, None, :], 0.0)
        return torch.bmm(weights, encoder), weights


class AttentionSeq2Seq(nn.Module):
    def __init__(self, src_vocab, tgt_vocab, embed_size, hidden_size, pad_id=0):
        super().__init__()
        self.pad_id, self.hidden_size = pad_id, hidden_size
        self.embed_src = nn.Embedding(src_vocab, embed_size, padding_idx=pad_id)
        self.embed_tgt = nn.Embedding(tgt_vocab, embed_size)
        self.encoder = nn.LSTM(embed_size, hidden_size, batch_first=True, bidirectional=True)
        self.squeeze = nn.Linear(2 * hidden_size, hidden_size)
        self.start_h = nn.Linear(2 * hidden_size, hidden_size)
        self.start_c = nn.Linear(2 * hidden_size, hidden_size)
        self.cell = nn.LSTMCell(embed_size + hidden_size, hidden_size)
        self.attention = LuongAttention(hidden_size)
        self.mix = nn.Linear(2 * hidden_size, hidden_size)
        self.dropout = nn.Dropout(0.1)
        self.output = nn.Linear(hidden_size, tgt_vocab)

    def forward(self, src, tgt):
        mask = src.ne(self.pad_id)
        lengths = mask.sum(1).cpu()
        packed = pack_padded_sequence(self.embed_src(src), lengths, batch_first=True, enforce_sorted=False)
        states, (h, c) = self.encoder(packed)
        states, _ = pad_packed_sequence(states, batch_first=True, total_length=src.size(1))
        states = self.squeeze(states)
        h = torch.tanh(self.start_h(torch.cat([h[0], h[1]], dim=1)))
        c = self.start_c(torch.cat([c[0], c[1]], dim=1))
        fed, logits = h.new_zeros(len(src), self.hidden_size), []
        for word in self.embed_tgt(tgt).unbind(1):
            h, c = self.cell(torch.cat([word, fed], dim=1), (h, c))
            context, _ = self.attention(h.unsqueeze(1), states, mask)
            fed = torch.tanh(self.mix(torch.cat([h, context.squeeze(1)], dim=1)))
            logits.append(self.output(self.dropout(fed)))
        return torch.stack(logits, dim=1)
