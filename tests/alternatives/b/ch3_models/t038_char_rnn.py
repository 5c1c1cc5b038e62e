"""038: a generator function that yields Python ints; the cumulative distribution and one uniform number a step."""

from itertools import islice

import torch
from torch import nn


class CharRNN(nn.Module):
    def __init__(self, vocab_size: int, embed_size: int, hidden_size: int):
        super().__init__()
        self.fc = nn.Linear(hidden_size, vocab_size)
        self.rnn = nn.RNN(embed_size, hidden_size, batch_first=True)
        self.embedding = nn.Embedding(vocab_size, embed_size)

    def forward(self, tokens, hidden=None):
        states, last = self.rnn(self.embedding(tokens), hidden)
        return self.fc(states), last


def _pick(logits, temperature, generator):
    if not temperature:
        return int(logits.argmax())
    p = (logits / temperature - logits.max() / temperature).exp().double()
    edges = p.cumsum(0) / p.sum()
    u = torch.rand(1, generator=generator, device=logits.device, dtype=torch.float64)
    return min(int(torch.searchsorted(edges, u, right=True)), len(logits) - 1)


def _stream(model, prompt, temperature, generator):
    tokens, state = prompt.unsqueeze(0), None
    while True:
        logits, state = model(tokens, state)
        choice = _pick(logits[0, -1].detach(), temperature, generator)
        yield choice
        tokens = torch.tensor([[choice]], device=prompt.device)


def generate(model, prompt, length, *, temperature=1.0, generator=None):
    if temperature < 0 or prompt.shape[0] == 0:
        raise ValueError(f"need a prompt and a temperature >= 0, got {prompt.tolist()} and {temperature}")
    before = model.training
    model.train(False)
    with torch.no_grad():
        new = list(islice(_stream(model, prompt, temperature, generator), length))
    model.train(before)
    return torch.cat([prompt, torch.tensor(new, dtype=prompt.dtype, device=prompt.device)])
