"""041 · 自注意力機制（Self-Attention）層

題目
    單頭的自注意力：序列裡每一步以 query 去比對每一步的 key，依比對的分數把 value 加權平均。

        Q = query(x)、K = key(x)、V = value(x)
        weights = softmax(Q Kᵀ / √E)，對 key 那一維
        out = weights V

    有兩種 key 要遮住（權重恰為 0）：mask 為 False 的步（padding），以及 causal 時在 query 之後的步；
    自己那一步不算之後。遮住的只是 key：padding 的步當 query 時照算，它的輸出由使用者自己忽略。

    一個 query 的 key 若全被遮住（padding 補在前面又 causal，或整個樣本都是 padding），那一列的權重與輸出都是 0。
    常見的寫法在這裡都錯：填 −inf 再 softmax 得到 NaN；把 −inf 加到分數上的，前向用 nan_to_num 補救了，梯度仍是 NaN；
    填 −1e9 再 softmax 得到均勻的權重，看到了不該看的步。

介面
    SelfAttention(embed_size, causal=False)
        query、key、value 都是有 bias 的 nn.Linear，embed_size → embed_size；沒有別的參數，也沒有 dropout。
    forward(x, mask=None) -> (out, weights)
        x (B, T, E)，記憶體可以不連續；mask (B, T) 是 bool，True 是真的、False 是 padding，None 是全部都真。
        nn.MultiheadAttention 的 key_padding_mask 相反，True 才是要忽略的。
        out (B, T, E)、weights (B, T, T)，dtype 與 x 相同；weights[b, i, j] 是第 i 步分給第 j 步的權重。

評分
    形狀  out 與 weights 的形狀、dtype（float32、float64）；state_dict 的鍵與形狀；T = 1、B = 1
    數值  有無 mask、有無 causal 的四種組合都符合上式；weights 每列加起來是 1，沒有 key 的列全是 0；
          x 大到 1e3（分數大到 1e6）時仍正確，分數是很大的負數時遮住的也還是 0
    梯度  對 x 的 gradcheck；輸入與每個參數的梯度，四種組合都是；有的列沒有 key、x 大到 1e3 時不是 NaN 或 inf
    行為  causal 的輸出不受之後的步影響；輸出不受 padding 的步與別的樣本影響；mask 全為 True 與 None 相同；
          不改動 x、mask 與模型
    速度  (16, 128, 64)、有 mask 與 causal 的前向與反向，不超過參考解的 3.2 倍（逐個 query 的迴圈約 8 倍）
    禁用  F.scaled_dot_product_attention（含 torch._scaled_dot_product_attention_math）、
          F.multi_head_attention_forward、nn.MultiheadAttention

範例
    >>> layer = SelfAttention(2, causal=True)
    >>> for linear in (layer.query, layer.key, layer.value):
    ...     _ = nn.init.eye_(linear.weight), nn.init.zeros_(linear.bias)
    >>> out, weights = layer(torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]]]))
    >>> weights.detach()
    tensor([[[1.0000, 0.0000, 0.0000],
             [0.3302, 0.6698, 0.0000],
             [0.1867, 0.0454, 0.7679]]])
    >>> out[0, 0].tolist()
    [0.0, 1.0]

面試追問
    1. 為什麼除以 √E 而不是 E？不除的話，E 很大時 softmax 的梯度會怎樣？
    2. 時間與記憶體各是 T 的幾次方？FlashAttention 省的是哪一個，怎麼省的？
    3. 生成時一次只多一步，哪些東西可以留著不重算（KV cache）？
"""

import math

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    def __init__(self, embed_size: int, causal: bool = False) -> None:
        super().__init__()
        raise NotImplementedError("TODO 041")

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x (B, T, E)、mask (B, T)，True 是真的 -> out (B, T, E)、weights (B, T, T)。"""
        raise NotImplementedError("TODO 041")
