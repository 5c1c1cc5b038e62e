"""038: Gumbel-max sampling (argmax of p over exponentials), an output filled in place, hidden started by hand."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class CharRNN(nn.Module):
    def __init__(self, vocab_size, embed_size, hidden_size):
        super().__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = nn.RNN(input_size=embed_size, hidden_size=hidden_size, num_layers=1, batch_first=True)
        self.fc = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens, hidden=None):
        embedded = self.embedding(tokens)
        if hidden is None:
            hidden = embedded.new_zeros(1, tokens.size(0), self.hidden_size)
        output, hidden = self.rnn(embedded, hidden)
        B, T, H = output.shape
        return self.fc(output.reshape(B * T, H)).view(B, T, -1), hidden


def generate(model, prompt, length, *, temperature=1.0, generator=None):
    P = prompt.numel()
    if P == 0:
        raise ValueError("empty prompt")
    if temperature < 0.0:
        raise ValueError(f"negative temperature: {temperature}")
    text = torch.empty(P + length, dtype=prompt.dtype, device=prompt.device)
    text[:P] = prompt
    if length == 0:
        return text
    mode = model.training
    model.eval()
    try:
        with torch.inference_mode():
            logits, state = model(prompt.view(1, P))
            for position in range(P, P + length):
                scores = logits[:, -1, :].squeeze(0)
                if temperature > 0:
                    p = F.softmax(scores / temperature, dim=0)
                    scores = p / torch.empty_like(p).exponential_(generator=generator)
                text[position] = scores.argmax()
                if position + 1 < P + length:
                    logits, state = model(text[position].view(1, 1), hidden=state)
    finally:
        model.train(mode)
    return text
