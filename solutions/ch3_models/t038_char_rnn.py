"""038 · 循環神經網路（RNN）來進行文本生成：參考解"""

import torch
from torch import Tensor, nn


class CharRNN(nn.Module):
    def __init__(self, vocab_size: int, embed_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = nn.RNN(embed_size, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, vocab_size)

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """tokens (B, T)、hidden (1, B, H) -> logits (B, T, V)、hidden (1, B, H)。"""
        out, hidden = self.rnn(self.embedding(tokens), hidden)
        return self.fc(out), hidden


@torch.no_grad()
def generate(
    model: nn.Module,
    prompt: Tensor,
    length: int,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """prompt (P,) -> (P + length,)：prompt 接上生成的 length 個字。"""
    if not len(prompt):
        raise ValueError("prompt 是空的：至少要有一個字才有 logits 可抽")
    if temperature < 0:
        raise ValueError(f"temperature 不能是負的，得到 {temperature}")
    was_training = model.training
    model.eval()
    text, tokens, hidden = [prompt], prompt, None
    for _ in range(length):
        # 第一步讀整段 prompt，之後只讀剛抽到的一個字：前面的字都在 hidden 裡。
        logits, hidden = model(tokens[None], hidden)
        last = logits[0, -1]
        if temperature == 0:  # 除以 0 會是 inf 與 NaN
            tokens = last.argmax(dim=-1, keepdim=True)
        else:
            tokens = torch.multinomial(torch.softmax(last / temperature, dim=-1), 1, generator=generator)
        text.append(tokens)
    model.train(was_training)
    return torch.cat(text)
