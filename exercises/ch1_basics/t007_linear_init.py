"""007 · 創建一個 torch.nn.Linear 層並初始化其權重和偏置

題目
    GPT 一類的模型以 N(0, std²) 初始化每個線性層的權重，偏置歸零，std 常取 0.02。請寫兩個函式：建一個這樣的
    層，以及把現成模型裡的每個 nn.Linear 都改成這樣。

    std 是標準差，不是變異數。nn.Linear 預設的初始化是 U(−1/√in_features, 1/√in_features)，權重與偏置都是。

介面
    make_linear(in_features, out_features, *, std=0.02, generator=None)
        傳回新的 nn.Linear（有偏置，float32，在 CPU 上）。
    init_linears_(model, *, std=0.02, generator=None)
        原地初始化 model 裡的每個 nn.Linear：任何深度、nn.Linear 的子類別、model 自己就是 nn.Linear 都算。
        沒有偏置的層只初始化權重。幾個層共用同一個權重時，那個權重只抽一次。傳回同一個 model。
    generator
        給了就從它抽亂數，它的狀態隨之前進；沒給就用全域的亂數。

評分
    形狀  權重 (out_features, in_features)、偏置 (out_features,)，都是 float32
    數值  權重服從 N(0, std²)（Kolmogorov-Smirnov 檢定）；偏置恰為 0
    行為  make_linear 的權重與偏置是可訓練的葉子
          同一個種子的 generator 得到同樣的權重；接著再抽、或不給 generator 時，每次都不同；
          不給 generator 時由 torch.manual_seed 決定
          init_linears_ 給了 generator 就不動全域的亂數狀態
          init_linears_ 走到每一層；容許 bias=False；不動其他種類的層（Conv2d、Embedding、LayerNorm 等）
          共用的權重只抽一次：其餘各層得到的值，與模型裡沒有那個共用者時相同
          原地修改：每個參數仍是同一個物件，requires_grad、dtype 與 train／eval 模式不變；傳回同一個 model

範例
    >>> layer = make_linear(3, 2, generator=torch.Generator().manual_seed(0))
    >>> layer.weight.shape, layer.bias.tolist()
    (torch.Size([2, 3]), [0.0, 0.0])
    >>> model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1, bias=False))
    >>> init_linears_(model) is model
    True

面試追問
    1. 權重全部設成 0 會怎樣？偏置為什麼可以？
    2. Xavier 與 Kaiming 初始化的變異數各從哪個條件推出來？
    3. GPT-2 為什麼把殘差分支最後一層的 std 再除以 √(2 × 層數)？
"""

import torch
from torch import nn


def make_linear(
    in_features: int, out_features: int, *, std: float = 0.02, generator: torch.Generator | None = None
) -> nn.Linear:
    """權重 (out_features, in_features) 服從 N(0, std²)，偏置 (out_features,) 為 0。"""
    raise NotImplementedError("TODO 007")


def init_linears_(model: nn.Module, *, std: float = 0.02, generator: torch.Generator | None = None) -> nn.Module:
    """model 裡每個 nn.Linear 的權重 (out, in) 改為 N(0, std²)，偏置 (out,) 改為 0；傳回 model。"""
    raise NotImplementedError("TODO 007")
