"""079 · 優化模型的內存占用，處理大批量推理

題目
    資料有幾百萬筆，一次丟進模型，光是中間的 activation 就放不下。分成小批推理，任何時刻只留下：

        全部的輸出，加上一個 batch 和它的 activation

    三個常見的浪費：沒有關掉 autograd，每一批的計算圖都留著；把各批輸出收進 list，最後 torch.cat，那一刻
    輸出有兩份；資料是 generator 時先 list(data)，全部讀進記憶體才開始算。

    第一個問題用 torch.inference_mode() 或 torch.no_grad()。第二個問題：資料是張量時筆數已知，看到第一批的
    輸出就能一次配置好整個結果，之後寫進去。網路上常說推理「只要 model.eval()」：eval() 換的是 dropout 與
    batch norm 的行為，不會關掉 autograd，兩件事都要做。

介面
    batch_inference(model, data, batch_size) -> Tensor
        model       輸入 (B, ...)、輸出 (B, ...)，每筆輸入對應一列輸出；可能在 train 或 eval 模式，B 可以是 0。
        data        張量 (N, ...)；或是 iterable，逐一給出一筆一筆的張量（沒有 batch 維），可能只能走一遍。
                    與模型在同一個裝置。
        batch_size  至少是 1。每次給模型 batch_size 筆，最後一批是剩下的。
        傳回 (N, ...)，與 eval 模式的模型一次算完全部資料相同，順序不變。
        空的張量 (0, ...) 也經過模型，傳回 (0, 輸出的其餘各維)；空的 iterable 傳回 torch.empty(0)。

評分
    形狀  空的張量與空的 iterable；輸出的其餘各維與 dtype 由模型決定（可以是整數）
    數值  與 eval 模式一次算完相同（模型含有 dropout 與 batch norm）：張量、list、generator，最後一批較短、恰好整除、
          batch_size 大於 N，只有一筆；樣本是整數（token）也是
    梯度  模型執行時 grad mode 是關的，結果不需要梯度
    行為  每一批的筆數如上；
          data 是張量時，同時存在的張量（不算 data 與模型本身）不超過輸出的 1.5 倍；檢查用的模型，一批與它的
          activation 不到輸出的 0.2 倍；
          data 是 iterable 時，每次呼叫模型之前，最多比這一批多讀一批；
          每個子模組的模式都還原，模型或 iterable 拋出例外時也是，例外照樣傳出去；不改動參數、buffer 與 data

範例
    >>> double = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(double.weight, 2.0)
    >>> batch_inference(double, torch.tensor([[1.0], [2.0], [3.0]]), batch_size=2)
    tensor([[2.],
            [4.],
            [6.]])
    >>> batch_inference(double, (torch.ones(1) for _ in range(5)), batch_size=2).shape
    torch.Size([5, 1])

面試追問
    1. inference_mode 與 no_grad 差在哪裡？inference_mode 的輸出之後能拿來訓練嗎？
    2. 在 GPU 上，怎麼讓下一批的搬運與這一批的計算重疊？記憶體要多留多少？
    3. 輸出也放不下時怎麼辦？句子長度不一時，怎麼分批最省 padding？
"""

from collections.abc import Iterable
from itertools import islice

import torch
from torch import Tensor, nn


def batch_inference(model: nn.Module, data: Tensor | Iterable[Tensor], batch_size: int) -> Tensor:
    """分批推理。data (N, ...) 或一筆一筆的 iterable；傳回 (N, ...)。"""
    raise NotImplementedError("TODO 079")
