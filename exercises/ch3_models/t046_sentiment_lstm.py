"""046 · LSTM 網路來進行情感分析

題目
    一批長短不一的句子補成同樣長度，經過 embedding 與 LSTM，以每句「自己最後一個字」那一步的 h 分類：

        logits_b = fc(h_b)，    h_b 是 LSTM 讀完第 b 句的前 lengths[b] 個 token 之後，最上層的 h

    常見的錯誤是取 out[:, -1]：短的句子在最後一欄是補的 pad，LSTM 已經又讀了好幾個 pad，h 早就變了。
    補多少、補什麼、同一批還有哪些句子，都不該影響一句的結果。

    句子有多長以 lengths 為準，不要用 tokens != pad_id 去數：pad_id 也可能出現在句子中間。

介面
    SentimentLSTM(vocab_size, embed_size, hidden_size, num_classes, num_layers=1, pad_id=0)
        embedding：nn.Embedding(vocab_size, embed_size)。pad_id 那一列的初值是 0，而且永遠得不到梯度，
        就算 pad_id 出現在句子中間。
        lstm：nn.LSTM，batch_first=True，單向，num_layers 層；fc：nn.Linear，hidden_size -> num_classes。
    forward(tokens, lengths)
        tokens (B, T) 為 int64；lengths (B,) 為 int64，1 ≤ lengths ≤ T，不一定排序過，最長的也可以比 T 短。
        -> logits (B, num_classes)。起始狀態是 0，沒有 dropout，訓練與推論時相同。

評分
    形狀  子模組，與 state_dict 的鍵、形狀；輸出的形狀與 dtype（float32、float64）
    數值  輸出等於逐句單獨讀完的結果：lengths 各種順序、長度 1、只有一句、兩層的 LSTM、句子中間有 pad_id
    梯度  每個參數的梯度；embedding 的 pad_id 那一列沒有梯度
    行為  pad_id 那一列的初值是 0；補的內容換成別的 token、多補幾欄，輸出都不變；輸出的順序與輸入相同；
          不改動輸入；訓練與推論時相同，不記得上一個 batch；
          64 句中英文評論：embed_size 16、hidden_size 16，以 Adam（lr 1e-2）訓練 60 步後至少記住 56 句

範例
    >>> model = SentimentLSTM(vocab_size=10, embed_size=4, hidden_size=8, num_classes=2)
    >>> tokens = torch.tensor([[5, 6, 0], [7, 8, 9]])             # 第一句補了一個 pad
    >>> logits = model(tokens, torch.tensor([2, 3]))
    >>> logits.shape
    torch.Size([2, 2])
    >>> torch.allclose(model(tokens[:1, :2], torch.tensor([2])), logits[:1], atol=1e-6)
    True

面試追問
    1. pack_padded_sequence 與「全部算完再取第 lengths − 1 步」結果相同，快慢與記憶體差在哪裡？雙向 LSTM 呢？
    2. LSTM 的四個門各做什麼？為什麼 forget gate 的 bias 常初始化成正數？
    3. 句子很長時，最後一步的 h 記不住開頭，可以怎麼改？
"""

import torch
from torch import Tensor, nn


class SentimentLSTM(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        num_classes: int,
        num_layers: int = 1,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        raise NotImplementedError("TODO 046")

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """tokens (B, T)、lengths (B,) -> logits (B, num_classes)。"""
        raise NotImplementedError("TODO 046")
