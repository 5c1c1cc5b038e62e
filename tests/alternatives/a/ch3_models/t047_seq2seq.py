"""047: the whole prefix through forward at every step; what comes after eos is overwritten at the end."""

import torch
from torch import nn


class Seq2Seq(nn.Module):
    def __init__(self, src_vocab, tgt_vocab, embed_size, hidden_size):
        super().__init__()
        self.src_embedding = nn.Embedding(num_embeddings=src_vocab, embedding_dim=embed_size)
        self.tgt_embedding = nn.Embedding(num_embeddings=tgt_vocab, embedding_dim=embed_size)
        lstm = {"input_size": embed_size, "hidden_size": hidden_size, "num_layers": 1, "batch_first": True}
        self.encoder, self.decoder = nn.LSTM(**lstm), nn.LSTM(**lstm)
        self.fc = nn.Linear(hidden_size, tgt_vocab)

    def forward(self, src, tgt):
        outputs, (h, c) = self.encoder(self.src_embedding(src))
        outputs, _ = self.decoder(self.tgt_embedding(tgt), (h, c))
        return self.fc(outputs)


def greedy_decode(model, src, bos_id, eos_id, max_len):
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        written = torch.full((src.size(0), 1), bos_id, dtype=torch.long, device=src.device)
        for _ in range(max_len):
            best = model(src, written)[:, -1].argmax(dim=1)
            written = torch.cat([written, best[:, None]], dim=1)
            if bool((written[:, 1:] == eos_id).any(dim=1).all()):
                break
    model.train(was_training)
    written = written[:, 1:].clone()
    after = (written == eos_id).long().cumsum(dim=1) > 0
    return torch.where(after, torch.full_like(written, eos_id), written)
