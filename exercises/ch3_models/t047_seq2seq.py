"""047 · Seq2Seq 模型來進行機器翻譯

題目
    encoder 把來源句讀成一個狀態，decoder 從那個狀態開始，一個字一個字寫出目標句（Sutskever 等人，2014；
    論文把來源句倒過來讀，這裡不倒）：

        state = encoder(src_embedding(src)) 最後的 (h, c)
        out = decoder(tgt_embedding(tgt), state) 每一步的輸出
        logits = fc(out)                     logits[:, t] 預測 tgt[:, t] 的下一個字

    LSTM 的狀態是 h 與 c 兩個，都要交給 decoder。訓練時 tgt 是真的目標句，前面加上 bos（teacher forcing）；
    生成時從 bos 開始，把自己選的字餵回去。

介面
    Seq2Seq(src_vocab, tgt_vocab, embed_size, hidden_size)
        src_embedding、tgt_embedding：nn.Embedding，不設 padding_idx（這裡沒有 padding）；
        encoder、decoder：nn.LSTM，batch_first=True，一層、單向；fc：nn.Linear(hidden_size, tgt_vocab)。
    Seq2Seq.forward(src, tgt)
        src (B, S)、tgt (B, T) int64 -> logits (B, T, tgt_vocab)。tgt 就是 decoder 的輸入，不必再位移。
    greedy_decode(model, src, bos_id, eos_id, max_len)
        model 是 Seq2Seq；每一步取 logits 的 argmax。max_len ≥ 1。
        回傳 (B, L) int64，與 src 同裝置：不含 bos；一列出現 eos 之後，後面都填 eos。
        所有列都出現過 eos 就停：L 是走了幾步（eos 算一步），最多 max_len。
        不建計算圖；model 的模式（train 或 eval）與呼叫前相同。

評分
    形狀  子模組，與 state_dict 的鍵、形狀；logits 的形狀與 dtype；greedy_decode 的形狀與 dtype
    數值  logits 等於同樣權重的 nn.LSTM 接起來的；一步一步餵 decoder 等於一次餵完；
          greedy_decode 的每個字，只有一句時也是；一列結束之後填 eos；全部結束就停；
          沒有結束就走滿 max_len；第一步就結束時 L = 1
    梯度  每個參數的梯度
    行為  greedy_decode 不改動 src 與 model（模式也是），不建計算圖，不動用全域亂數；
          學得會：把四個字倒過來寫；字彙 8、embed_size 32、hidden_size 64，Adam（lr 5e-3）每步 64 個新句子，200 步以內
          greedy_decode 寫出的字 95% 正確（通常 60 步）

範例
    >>> model = Seq2Seq(src_vocab=9, tgt_vocab=7, embed_size=4, hidden_size=8)
    >>> src = torch.tensor([[3, 5, 8], [1, 4, 2]])
    >>> model(src, torch.tensor([[0, 2], [0, 6]])).shape
    torch.Size([2, 2, 7])
    >>> greedy_decode(model, src, bos_id=0, eos_id=1, max_len=5).shape[0]
    2

面試追問
    1. 整句都擠進一個固定長度的 (h, c)，句子一長會怎樣？attention 怎麼解決？
    2. 只用 teacher forcing 訓練，生成時會遇到什麼問題（exposure bias）？
    3. beam search 與 greedy 差在哪裡？為什麼要做長度正規化？
"""

import torch
from torch import Tensor, nn


class Seq2Seq(nn.Module):
    def __init__(self, src_vocab: int, tgt_vocab: int, embed_size: int, hidden_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 047")

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        """src (B, S)、tgt (B, T) -> logits (B, T, tgt_vocab)。"""
        raise NotImplementedError("TODO 047")


def greedy_decode(model: Seq2Seq, src: Tensor, bos_id: int, eos_id: int, max_len: int) -> Tensor:
    """src (B, S) -> (B, L)，不含 bos；L 最多 max_len。"""
    raise NotImplementedError("TODO 047")
