"""059 · 模型的 K 折交叉驗證

題目
    把 n 個樣本切成 k 份，輪流拿一份驗證、其餘訓練，得到 k 個驗證誤差。要自己寫的有兩件事：

        切法      第 i 折的驗證部分是第 i 份。k 除不盡 n 時，前 n % k 份各多一個樣本：
                  10 個切 4 份是 3、3、2、2，一個也不能少。不打亂時各份是連續的
        不能偷看  特徵要標準化，而平均與標準差只能從訓練的部分算，再用在驗證的部分。
                  先對全部資料標準化再切折，是教學裡常見的錯：驗證資料的資訊漏進了訓練

介面
    kfold_indices(n, k, *, shuffle=False, seed=0) -> list[tuple[Tensor, Tensor]]
        k 項，每項是 (訓練的索引, 驗證的索引)，都由小到大，int64，在 CPU 上。
        shuffle=True：先隨機打亂樣本再切，每種切法機會相同，各份的大小與不打亂時一樣。
        結果由 seed 決定，不讀也不動全域亂數；seed 不同，切法一般也不同。
        k < 2 或 k > n 拋出 ValueError，訊息含 k 的值。
    cross_validate(make_model, x, y, *, k, epochs, lr, seed=0) -> list[float]
        x 為 (N, D)，y 為 (N, 1)，float32，在同一個裝置上；model(x) 也是 (N, 1)，模型已在那個裝置上。
        折就是 kfold_indices(N, k, shuffle=True, seed=seed) 的折，依序做。每一折：
            1. 呼叫一次 make_model()，得到一個新的模型
            2. x 的每一欄減去訓練部分的平均、除以訓練部分的標準差（除以訓練樣本數，不是減 1）；
               標準差是 0 的欄除以 1。y 照原樣
            3. 在訓練部分上訓練 epochs 步：train() 模式，每一步用全部的訓練樣本，MSE，沒有 momentum 的 SGD
            4. 在驗證部分上以 eval() 模式求 MSE
        傳回各折驗證的 MSE，Python float。不改動 x、y。

評分
    形狀  k 項、各是兩個 int64 的一維張量；cross_validate 傳回 k 個 float
    數值  不打亂時與 scikit-learn 的 KFold 相同；打亂時每種切法機會相同；每一折的 MSE 等於逐步推算的
    行為  打亂後仍是一個分割：每個樣本恰好驗證一次，訓練的是其餘全部，由小到大，各份的大小不變；
          由 seed 決定，不動全域亂數；make_model() 一折呼叫一次，各折從自己的那個模型開始；
          eval() 驗證；標準化只看訓練部分，驗證部分有極端的值也不影響；標準差為 0 的欄；epochs = 0；
          不改動 x、y；k < 2 或 k > n：ValueError
    禁用  sklearn

範例
    >>> for train, validation in kfold_indices(5, 3):
    ...     print(train.tolist(), validation.tolist())
    [2, 3, 4] [0, 1]
    [0, 1, 4] [2, 3]
    [0, 1, 2, 3] [4]
    >>> x = torch.arange(12.0).reshape(12, 1)
    >>> losses = cross_validate(lambda: nn.Linear(1, 1), x, 3 * x, k=4, epochs=200, lr=0.1)
    >>> len(losses), max(losses) < 1e-3
    (4, True)

面試追問
    1. 要用交叉驗證挑超參數，又要報告成績，為什麼需要巢狀（nested）的交叉驗證？
    2. 類別不平衡、同一個人有多筆資料、時間序列，各該怎麼切折？
    3. k 大與 k 小各有什麼好壞？k 個分數的標準差能直接當成成績的不確定性嗎？
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def kfold_indices(n: int, k: int, *, shuffle: bool = False, seed: int = 0) -> list[tuple[Tensor, Tensor]]:
    """k 折的 (訓練索引, 驗證索引)，都由小到大。"""
    raise NotImplementedError("TODO 059")


def cross_validate(
    make_model: Callable[[], nn.Module], x: Tensor, y: Tensor, *, k: int, epochs: int, lr: float, seed: int = 0
) -> list[float]:
    """x (N, D)、y (N, 1) -> 各折驗證的 MSE。"""
    raise NotImplementedError("TODO 059")
