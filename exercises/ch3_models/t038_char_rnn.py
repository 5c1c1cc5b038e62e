"""038 · 循環神經網路（RNN）來進行文本生成

題目
    字元語言模型：讀到目前為止的字，給出下一個字的 logits。生成時把抽到的字再餵回去。

        out, hidden = RNN(embedding(tokens), hidden)
        logits = fc(out)                      logits[:, t] 預測 tokens[:, t] 的下一個字

    generate 先把整段 prompt 以 (1, P) 一次送進模型，由最後一個位置的 logits 抽出下一個字；之後每一步只送剛抽到的
    那個字 (1, 1)，並帶著上一步的 hidden。每一步都把全文重讀一遍，長度 n 就要 O(n²) 步，那就白用 RNN 了。

        temperature T > 0：由 softmax(logits / T) 抽樣（T 是除，不是乘）
        temperature 0：取 argmax，不抽樣

介面
    CharRNN(vocab_size, embed_size, hidden_size)
        embedding：nn.Embedding，不設 padding_idx；rnn：nn.RNN，batch_first=True，一層、單向、tanh；fc：nn.Linear。
    CharRNN.forward(tokens, hidden=None)
        tokens (B, T) int64、hidden (1, B, H) -> (logits (B, T, V), 最後的 hidden (1, B, H))。
        hidden 為 None 時從 0 開始。
    generate(model, prompt, length, *, temperature=1.0, generator=None)
        prompt (P,) int64 -> (P + length,) int64，與 prompt 同裝置：prompt 接上生成的 length 個字。
        length 為 0 時就是 prompt。
        model 是任何一個 nn.Module，呼叫方式與 CharRNN 相同：第一次不給 hidden（或給 None），之後把它回傳的 hidden
        原樣傳回去（不一定是 Tensor）。
        generator 與 prompt 在同一個裝置；None 表示 torch 的全域亂數。
        生成時模型在 eval 模式、不建計算圖，結束後還原成呼叫前的模式。
        prompt 是空的，或 temperature < 0，拋出 ValueError；後者的訊息含該值。

評分
    形狀  CharRNN 的子模組，與 state_dict 的鍵、形狀；logits、hidden、generate 結果的形狀與 dtype
    數值  logits 與 hidden 等於同樣權重的 nn.RNN（hidden 為 None 或給定）；分段送入等於一次送入；
          temperature 0 的每個字都是 argmax，不動用亂數；
          抽樣服從 softmax(logits / T)，T 為預設值、0.5、2，logits 上千時也是
    梯度  CharRNN 對每個參數與 hidden 的梯度
    行為  generate 第一次送 (1, P)，送進模型的字總共不超過 P + length 個；生成的字會餵回去，hidden 也帶著走；
          同樣狀態的 generator 給出同樣的結果，接著再用則不同，不動用全域亂數；沒有 generator 時，兩次的結果不同；
          eval 模式、不建計算圖、還原模式；不改動 prompt 與模型；拋出上述例外，模式不變

範例
    >>> model = CharRNN(vocab_size=5, embed_size=4, hidden_size=8)
    >>> logits, hidden = model(torch.tensor([[0, 3, 1]]))
    >>> logits.shape, hidden.shape
    (torch.Size([1, 3, 5]), torch.Size([1, 1, 8]))
    >>> text = generate(model, torch.tensor([0, 3, 1]), 4, temperature=0.0)
    >>> text.shape, text[:3]
    (torch.Size([7]), tensor([0, 3, 1]))

面試追問
    1. temperature 趨近 0 與趨近無限大時，分布各變成什麼？top-k、top-p 又改了什麼？
    2. 訓練時餵的是真的上一個字，生成時餵的是自己抽的字；這個落差叫什麼，怎麼減輕？
    3. Transformer 生成時沒有 hidden，靠什麼避免每一步重算全文？它的記憶體怎麼隨長度增加？
"""

import torch
from torch import Tensor, nn


class CharRNN(nn.Module):
    def __init__(self, vocab_size: int, embed_size: int, hidden_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 038")

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """tokens (B, T)、hidden (1, B, H) -> logits (B, T, V)、hidden (1, B, H)。"""
        raise NotImplementedError("TODO 038")


def generate(
    model: nn.Module,
    prompt: Tensor,
    length: int,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """prompt (P,) -> (P + length,)：prompt 接上生成的 length 個字。"""
    raise NotImplementedError("TODO 038")
