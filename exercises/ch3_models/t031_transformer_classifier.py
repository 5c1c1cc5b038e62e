"""031 · 使用 torch.nn.Transformer 實現一個文本分類模型

題目
    把一段文字（token 編號）讀成一個類別的 logits，用 PyTorch 現成的 Transformer encoder：

        embedding + 位置  →  num_layers 層 nn.TransformerEncoderLayer  →  合成一個向量  →  num_classes 個 logits

    attention 本身不知道順序：不加上位置，「狗咬人」與「人咬狗」的 logits 完全相同。
    同一個 batch 的文字長短不一，短的在尾端補 pad_id。補了多少，不該改變結果：attention 不能看 padding
    （src_key_padding_mask，True 表示遮掉），合成一個向量時也不能把 padding 算進去。
    整列都是 padding（空字串）時，平均是 0 / 0；而且 eval 加上 no_grad 時 PyTorch 會走另一條快速路徑，
    把整列都遮掉會得到 NaN 或 RuntimeError。

介面
    TransformerClassifier(vocab_size, embed_size, num_heads, num_classes, num_layers, max_seq_length, pad_id=0)
        恰好 num_layers 個 nn.TransformerEncoderLayer（各有各的參數），num_heads 個 head，feed-forward 的寬度是
        4 · embed_size。屬性名稱、位置編碼（學的或固定的）、合成一個向量的方法、dropout 都自己決定。
        建了的參數都要用到：nn.TransformerEncoder 會複製你給的那一層，原型不要再掛在 self 上。
    forward(tokens)
        tokens (B, T) int64，1 ≤ T ≤ max_seq_length，padding 只在尾端 -> logits (B, num_classes)，
        沒有經過 softmax 或 log_softmax。
        T > max_seq_length 時拋出 ValueError，訊息含 T。

評分
    形狀  輸出的形狀與 dtype（float32、float64 的模型），T 由 1 到 max_seq_length；
          encoder 的層數、head 數與 feed-forward 的寬度
    數值  eval 模式下，每個樣本的 logits 與同一個 batch 的其他樣本無關，也與尾端補了多少 pad_id 無關
          （其他樣本整列都是 padding、建不建計算圖，都是）；輸出是 logits，不是機率或 log 機率
    梯度  每個參數都有梯度（不是 None），而且與數值微分相符
    行為  調換兩個 token 的位置會改變 logits；太長拋出 ValueError；整列 padding 的 logits 與梯度都是有限值
          （train 與 eval、建不建計算圖、單獨一列或與其他樣本一起）；不改動 tokens 與模型（包括它的模式）；
          學得會：長度 6、恰有一個 7 與一個 3 的序列，判斷 7 是否在 3 之前；vocab_size 10、embed_size 32、4 個 head、
          1 層，Adam（lr 2e-3）每步 32 個新樣本，新樣本答對 75%（通常 50 到 150 步；最多給 900 步）

範例
    >>> model = TransformerClassifier(10, 8, num_heads=2, num_classes=3, num_layers=1, max_seq_length=6)
    >>> model(torch.tensor([[5, 2, 7, 0, 0], [1, 4, 4, 9, 3]])).shape
    torch.Size([2, 3])

面試追問
    1. self-attention 的時間與記憶體隨 T 怎麼增加？batch 裡長短懸殊時怎麼省？
    2. 用 [CLS] 的向量、平均、最大值來代表整段文字，各有什麼得失？
    3. norm_first=True（Pre-LN）與預設的 Post-LN 差在哪裡？為什麼後者常要 warmup？
"""

import torch
from torch import Tensor, nn


class TransformerClassifier(nn.Module):
    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        num_heads: int,
        num_classes: int,
        num_layers: int,
        max_seq_length: int,
        pad_id: int = 0,
    ) -> None:
        super().__init__()
        raise NotImplementedError("TODO 031")

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens (B, T) -> logits (B, num_classes)。"""
        raise NotImplementedError("TODO 031")
