"""047 · Seq2Seq 模型來進行機器翻譯：參考解"""

import torch
from torch import Tensor, nn


class Seq2Seq(nn.Module):
    def __init__(self, src_vocab: int, tgt_vocab: int, embed_size: int, hidden_size: int) -> None:
        super().__init__()
        self.src_embedding = nn.Embedding(src_vocab, embed_size)
        self.tgt_embedding = nn.Embedding(tgt_vocab, embed_size)
        self.encoder = nn.LSTM(embed_size, hidden_size, batch_first=True)
        self.decoder = nn.LSTM(embed_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, tgt_vocab)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        """src (B, S)、tgt (B, T) -> logits (B, T, tgt_vocab)。"""
        _, state = self.encoder(self.src_embedding(src))  # state 是 (h, c)，兩個都交給 decoder
        out, _ = self.decoder(self.tgt_embedding(tgt), state)
        return self.fc(out)


@torch.no_grad()
def greedy_decode(model: Seq2Seq, src: Tensor, bos_id: int, eos_id: int, max_len: int) -> Tensor:
    """src (B, S) -> (B, L)，不含 bos；L 最多 max_len。"""
    _, state = model.encoder(model.src_embedding(src))
    token = src.new_full((len(src), 1), bos_id)
    ended = torch.zeros_like(token, dtype=torch.bool)
    tokens = []
    for _ in range(max_len):
        out, state = model.decoder(model.tgt_embedding(token), state)
        # 各列在不同的時候結束：已經結束的列填 eos，其他列繼續。
        token = model.fc(out).argmax(dim=-1).masked_fill(ended, eos_id)
        tokens.append(token)
        ended |= token == eos_id
        if ended.all():
            break
    return torch.cat(tokens, dim=1)
