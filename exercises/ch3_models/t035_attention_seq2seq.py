"""035 · 基於注意力機制的模型，用於機器翻譯

題目
    不把整句擠進一個向量：decoder 的每一步都回頭看 encoder 的每一個狀態（Luong 等人，2015，general score）。
    對 decoder 的狀態 d_t 與 encoder 的狀態 e_s：

        score(t, s)   = attn(d_t) · e_s                     沒有除以 √H
        weights(t, ·) = softmax over s 的 score(t, ·)       對來源的位置 s，不是對 t
        context(t)    = Σ_s weights(t, s) e_s

    padding 的位置要在 softmax 之前遮掉。先 softmax 再把它們設成 0，剩下的加起來就不是 1 了。
    整列都沒有真正的字時，softmax 是 0 / 0；這裡規定 weights 全是 0（context 也是 0）。

    AttentionSeq2Seq 以 encoder、decoder 兩個 RNN 和一個 LuongAttention 組成翻譯模型。來源句在尾端補 pad_id；
    RNN 會一路讀過 padding，所以 encoder「最後的狀態」與補了多少有關，不能直接用。

介面
    LuongAttention(hidden_size)
        attn：nn.Linear(H, H)，沒有 bias，沒有其他參數。
    LuongAttention.forward(decoder, encoder, mask=None)
        decoder (B, T, H)、encoder (B, S, H)、mask (B, S) bool，True 表示真正的字，None 表示全部都是
        -> (context (B, T, H), weights (B, T, S))。
    AttentionSeq2Seq(src_vocab, tgt_vocab, embed_size, hidden_size, pad_id=0)
        內含一個 LuongAttention。屬性名稱、RNN 的種類與其餘的結構都自己決定；建了的參數都要用到。
    AttentionSeq2Seq.forward(src, tgt)
        src (B, S)、tgt (B, T) int64；src 只在尾端有 padding，每列至少一個真正的字 -> logits (B, T, tgt_vocab)。
        tgt 就是 decoder 的輸入（teacher forcing），不必再位移：logits[:, t] 只看得到 tgt[:, : t + 1]。

評分
    形狀  LuongAttention 的子模組，context 與 weights 的形狀與 dtype；logits 的形狀與 dtype（float32、float64 的模型）
    數值  context 與 weights 符合上式（有 mask、沒有 mask、整列都是 padding、分數上千時）；
          每列 weights 的和是 1，遮掉的位置恰好是 0，沒有真正的字的一列全是 0
    梯度  LuongAttention 對 decoder、encoder、attn.weight 的 gradcheck 通過（含整列都是 padding 的）；
          AttentionSeq2Seq 的每個參數都有梯度（不是 None），而且與數值微分相符
    行為  （以下都在 eval 模式）logits[:, t] 與 tgt 在 t 之後的字無關，與 tgt[:, t] 有關；與 src 的每一個字有關，
          與 src 尾端補了多少 pad_id、同一個 batch 的其他句子無關；模型裡有 LuongAttention；不改動輸入；
          學得會：把長度 4 的句子倒過來；字彙 8、embed_size 32、hidden_size 64，Adam（lr 5e-3）每步 64 個新句子，
          300 步以內 teacher forcing 的字 95% 正確

範例
    >>> attention = LuongAttention(2)
    >>> nn.init.eye_(attention.attn.weight).shape
    torch.Size([2, 2])
    >>> decoder, encoder = torch.tensor([[[3.0, 0.0]]]), torch.tensor([[[1.0, 2.0], [1.0, 4.0], [9.0, 9.0]]])
    >>> context, weights = attention(decoder, encoder, torch.tensor([[True, True, False]]))
    >>> context.detach(), weights.detach()
    (tensor([[[1., 3.]]]), tensor([[[0.5000, 0.5000, 0.0000]]]))
    >>> AttentionSeq2Seq(9, 7, embed_size=4, hidden_size=6)(torch.tensor([[3, 5, 0]]), torch.tensor([[1, 2]])).shape
    torch.Size([1, 2, 7])

面試追問
    1. Luong 的 general、dot 與 Bahdanau 的 additive score 差在哪裡？scaled dot-product 為什麼要除以 √d？
    2. decoder 的狀態是「這一步的」還是「上一步的」拿去算 attention？兩篇論文各怎麼做？
    3. attention 的權重能不能拿來當作詞的對齊或解釋？
"""

import torch
from torch import Tensor, nn


class LuongAttention(nn.Module):
    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 035")

    def forward(self, decoder: Tensor, encoder: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """decoder (B, T, H)、encoder (B, S, H)、mask (B, S) -> context (B, T, H)、weights (B, T, S)。"""
        raise NotImplementedError("TODO 035")


class AttentionSeq2Seq(nn.Module):
    def __init__(self, src_vocab: int, tgt_vocab: int, embed_size: int, hidden_size: int, pad_id: int = 0) -> None:
        super().__init__()
        raise NotImplementedError("TODO 035")

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        """src (B, S)、tgt (B, T) -> logits (B, T, tgt_vocab)。"""
        raise NotImplementedError("TODO 035")
