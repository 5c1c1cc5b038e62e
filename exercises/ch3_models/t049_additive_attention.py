"""049 · 注意力機制（Attention Mechanism）來加強模型的性能

題目
    加法注意力（Bahdanau et al. 2015）：decoder 的狀態 query 與 encoder 每一步的輸出 key 各投影到同一個空間，
    相加後經過 tanh，再由 v 變成一個分數：

        scores_t = v · tanh(w_query q + w_key k_t)
        weights = softmax(scores)，對 T 那一維
        context = Σ_t weights_t k_t

    三個投影都沒有 bias，分數也不除以維度的平方根；加權平均的是 keys 本身，不是投影之後的。
    query 與 keys 的維度可以不同，這是它與內積注意力的一個差別。

    mask 為 False 的步要遮住：權重恰為 0，其餘的重新加起來是 1。一個樣本若全被遮住，它的權重與 context 都是 0。
    常見的寫法在這裡都錯：填 −inf 再 softmax 得到 NaN；把 −inf 加到分數上的，前向用 nan_to_num 補救了，梯度仍是 NaN；
    填 −1e6 之類的數再 softmax，得到均勻的權重，看到了不該看的步。

介面
    AdditiveAttention(query_size, key_size, attn_size)
        w_query、w_key、v 都是沒有 bias 的 nn.Linear：query_size → attn_size、key_size → attn_size、attn_size → 1；
        沒有別的參數，也沒有 dropout。
    forward(query, keys, mask=None) -> (context, weights)
        query (B, Q)、keys (B, T, K)，記憶體可以不連續；mask (B, T) 是 bool，True 是真的、False 是 padding，
        None 是全部都真（與第 41 題相同）。
        context (B, K)、weights (B, T)，dtype 與輸入相同。

評分
    形狀  context 與 weights 的形狀、dtype（float32、float64）；state_dict 的鍵與形狀；T = 1、B = 1
    數值  有 mask、沒有 mask 都符合上式；weights 每列加起來是 1，全被遮住的列是 0；
          分數大到 1e6、各樣本的分數相差很多時仍正確；分數是很大的負數時遮住的也還是 0
    梯度  對 query 與 keys 的 gradcheck；輸入與每個參數的梯度，有無 mask 都是；有的樣本全被遮住時不是 NaN
    行為  每個樣本不受自己的 padding 與別的樣本影響；mask 全為 True 與 None 相同；不改動 query、keys、mask 與模型

範例
    >>> attention = AdditiveAttention(1, 2, 2)
    >>> _ = nn.init.zeros_(attention.w_query.weight), nn.init.eye_(attention.w_key.weight)
    >>> _ = nn.init.constant_(attention.v.weight, 2.0)
    >>> keys = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]]])
    >>> context, weights = attention(torch.zeros(1, 1), keys, torch.tensor([[True, True, False]]))
    >>> weights.detach()    # 分數是 0 與 2 tanh(1) = 1.523
    tensor([[0.1790, 0.8210, 0.0000]])
    >>> context.detach()
    tensor([[0.8210, 0.0000]])

面試追問
    1. 加法注意力與內積注意力各要多少乘法與記憶體？維度很大時，內積為什麼要除以 √d，加法為什麼不用？
    2. 解碼每一步的 query 都不同，keys 卻一樣：哪一部分可以只算一次？
    3. 沒有注意力的 seq2seq 在長句上為什麼差？context 多給了 decoder 什麼？
"""

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    def __init__(self, query_size: int, key_size: int, attn_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 049")

    def forward(self, query: Tensor, keys: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """query (B, Q)、keys (B, T, K)、mask (B, T)，True 是真的 -> context (B, K)、weights (B, T)。"""
        raise NotImplementedError("TODO 049")
