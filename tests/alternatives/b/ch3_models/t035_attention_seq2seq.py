"""035: einsum, a softmax of its own, a tanh RNN whose padding steps keep the state, the decoder starts at a mean."""

import torch
from torch import nn


class LuongAttention(nn.Module):
    def __init__(self, hidden_size: int):
        super().__init__()
        self.attn = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, decoder, encoder, mask=None):
        scores = torch.einsum("bth,bsh->bts", self.attn(decoder), encoder)
        keep = torch.ones(encoder.shape[:2], dtype=torch.bool, device=encoder.device) if mask is None else mask
        keep = keep[:, None].expand_as(scores)
        lowest = torch.full_like(scores, torch.finfo(scores.dtype).min)
        top = torch.where(keep, scores, lowest).amax(-1, keepdim=True).detach()
        exps = torch.where(keep, scores - top, lowest).exp()
        exps = torch.where(keep, exps, torch.zeros_like(exps))
        total = exps.sum(-1, keepdim=True)
        weights = exps / total.where(total > 0, torch.ones_like(total))
        return torch.einsum("bts,bsh->bth", weights, encoder), weights


class AttentionSeq2Seq(nn.Module):
    def __init__(self, src_vocab: int, tgt_vocab: int, embed_size: int, hidden_size: int, pad_id: int = 0):
        super().__init__()
        self.pad_id = pad_id
        self.source = nn.Embedding(src_vocab, embed_size)
        self.target = nn.Embedding(tgt_vocab, embed_size)
        self.reader = nn.RNNCell(embed_size, hidden_size)
        self.writer = nn.GRU(embed_size, hidden_size, batch_first=True)
        self.look = LuongAttention(hidden_size)
        self.head = nn.Sequential(nn.Linear(2 * hidden_size, hidden_size), nn.ReLU(), nn.Linear(hidden_size, tgt_vocab))

    def forward(self, src, tgt):
        real = src != self.pad_id
        state = self.reader.weight_hh.new_zeros(len(src), self.reader.hidden_size)
        states = []
        for t, word in enumerate(self.source(src).unbind(1)):
            state = torch.where(real[:, t, None], self.reader(word, state), state)
            states.append(state)
        states = torch.stack(states, 1)
        mean = (states * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        out, _ = self.writer(self.target(tgt), mean[None].contiguous())
        context, _ = self.look(out, states, real)
        return self.head(torch.cat([out, context], -1))
