"""085 · 模型的可視化

題目
    兩種看模型的方式：

    autograd_dot    backward 時走的計算圖。每個運算的結果帶著 grad_fn，它的 next_functions 指向輸入的 grad_fn；
                    走到底是 AccumulateGrad，它的 .variable 就是葉子（參數）。把這張圖寫成 Graphviz 的
                    DOT 文字：digraph，節點是 grad_fn 與葉子，邊順著資料的流向。
    module_summary  forward 時每個葉模組（沒有子模組的模組）的呼叫：名稱、類別、輸出的形狀、參數的個數。

    容易出錯的地方：torchviz 用遞迴走計算圖，鏈一長就超過 Python 的遞迴上限；同一個節點被用到兩次，
    只能畫一次，邊卻有兩條；torch 2.11 的 grad_fn 物件用完就回收，只記 id 而不留住物件，id 會重複（較新
    的版本會留著）；模組重複使用、權重共用時，參數只能算一次，否則加起來不等於模型的參數總數。

介面
    autograd_dot(output, params=None) -> str
        output  由運算得到的 tensor（有 grad_fn）。
        params  名稱到 tensor 的字典，例如 dict(model.named_parameters())。
        節點    每個從 output 走得到的 grad_fn 恰好一個，標籤（label）含有它的名稱，例如 MulBackward0；
                每個走得到的葉子恰好一個，標籤含有它在 params 裡的名稱與形狀，例如 "0.weight\\n(4, 3)"；
                不在 params 裡的葉子只寫形狀。AccumulateGrad 可以另外畫成節點（葉子 → AccumulateGrad → 運算），
                也可以由葉子的節點代替；output 自己也可以另外畫一個節點
        邊      f.next_functions 裡的每個 g（不含 None）各有一條 g -> f；x * x 有兩條
    module_summary(model, example) -> list[LayerRow]
        葉模組每被呼叫一次就有一列，依呼叫的順序。
        name          在 model.named_modules() 裡的名稱，例如 "0"、"block.1"
        type          類別的名稱，例如 "Linear"
        output_shape  輸出的形狀，含 batch
        params        這一次呼叫才第一次出現的參數的元素總數（凍結的也算）：同一個模組的第二次呼叫、
                      與前面共用的權重都算 0；參數都屬於呼叫到的葉模組時，加起來就是參數總數
        模型的葉模組都輸出一個 tensor。

評分
    形狀  module_summary 的 output_shape
    數值  module_summary 的 params；加起來等於模型的參數總數
    行為  autograd_dot 是合法的 DOT；grad_fn、葉子各畫一次，沒用到的參數不畫；邊的方向與條數；
          5,000 個運算的鏈、params 為 None 都可以；
          module_summary 的名稱、類別與順序；以 eval 模式、不記梯度執行；模型的參數、buffer、每個子模組的
          模式不變，不留下 hook，原有的 hook 還在；模型拋出例外時也是如此

範例
    >>> w = torch.ones(2, 3, requires_grad=True)
    >>> dot = autograd_dot((w * w).sum(), {"w": w})
    >>> dot.startswith("digraph"), "MulBackward0" in dot, "SumBackward0" in dot
    (True, True, True)
    >>> module_summary(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), torch.zeros(2, 3))[0]
    LayerRow(name='0', type='Linear', output_shape=(2, 4), params=16)

面試追問
    1. backward 之後再走一次計算圖，grad_fn 還在嗎？saved tensors 呢？
    2. forward hook 與覆寫 forward 各有什麼缺點？torch.fx 的 Interpreter 能怎麼做？
    3. 模型裡有依資料而定的分支時，autograd 的圖與 torch.export 的圖有什麼不同？
"""

import json
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LayerRow(NamedTuple):
    """葉模組的一次呼叫。"""

    name: str
    type: str
    output_shape: tuple[int, ...]
    params: int


def autograd_dot(output: Tensor, params: dict[str, Tensor] | None = None) -> str:
    """output 的 autograd 計算圖，寫成 Graphviz 的 DOT。"""
    raise NotImplementedError("TODO 085")


def module_summary(model: nn.Module, example: Tensor) -> list[LayerRow]:
    """以 example 執行一次 model，每次葉模組的呼叫一列。"""
    raise NotImplementedError("TODO 085")
