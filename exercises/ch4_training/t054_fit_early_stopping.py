"""054 · 訓練循環，包含驗證和早停功能

題目
    寫一個完整的訓練循環：每個 epoch 先訓練、再驗證；驗證損失不再下降就提早停止，最後把模型還原成最好的那個 epoch。

        改善     val_loss 嚴格小於先前最好的值；相同不算，NaN 不算
        早停     連續 patience 個 epoch 沒有改善，就在第 patience 個之後停下
        損失     一個 epoch 中每個樣本的平均。criterion 給的是 batch 的平均，最後一個 batch 往往較小，
                 直接平均各 batch 的損失是錯的
        還原     參數與 buffer（例如 BatchNorm 的統計量）一起還原。state_dict() 給的是模型自己的張量，不是副本：
                 網路上常見的 best = model.state_dict() 什麼也沒有留住

介面
    History
        train_loss、val_loss   每個跑過的 epoch 一個 Python float
        best_epoch             val_loss 最低的 epoch，從 1 數起；val_loss 從來不是有限值時為 0
        stopped_early          是否因 patience 用完而停，恰好發生在第 max_epochs 個 epoch 也算
    fit(model, train_loader, val_loader, criterion, optimizer, *, max_epochs, patience)
        兩個 loader 是 DataLoader，每個 batch 是 (inputs, targets)，張量已在模型所在的裝置上；樣本數是 len(inputs)。
        criterion(model(inputs), targets) 是 batch 的平均損失（純量）。max_epochs、patience 都至少是 1。
        train_loss 在訓練當下累計：用的是每次更新之前、算梯度的那個損失，不是訓練完再跑一遍。
        結束時模型的參數與 buffer 是 best_epoch 訓練完時的值；best_epoch 為 0 時是呼叫前的值。

評分
    形狀  回傳 History，各欄位的型別與長度
    數值  train_loss 與 val_loss 是樣本的平均，與逐步推算的值相同
    行為  訓練時是 train()、驗證時是 eval() 且不建計算圖，每個 epoch 都是；
          何時停止、best_epoch、stopped_early 如上；val_loss 相同不算改善，再小的下降也算；
          NaN 與 inf 不會是最好的；參數與 buffer 還原到 best_epoch，或呼叫前；不重設全域亂數的種子

範例
    >>> inputs = torch.linspace(-1, 1, 10).reshape(10, 1)
    >>> loader = DataLoader(TensorDataset(inputs, 3 * inputs), batch_size=4)
    >>> model = nn.Linear(1, 1)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> history = fit(model, loader, loader, nn.MSELoss(), sgd, max_epochs=5, patience=3)
    >>> len(history.val_loss), history.best_epoch, history.stopped_early
    (5, 5, False)

面試追問
    1. 每個 batch 都呼叫 loss.item() 在 GPU 上有什麼代價？怎麼避免？
    2. 要能從中斷處繼續，除了模型還要存哪些狀態？
    3. 驗證損失的雜訊很大時，怎麼設計早停的條件？用驗證集挑了 epoch，還能用它報告成績嗎？
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class History:
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False


def fit(
    model: nn.Module,
    train_loader: DataLoader,
    val_loader: DataLoader,
    criterion: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    max_epochs: int,
    patience: int,
) -> History:
    """訓練最多 max_epochs 個 epoch，還原最好的權重，回傳經過。"""
    raise NotImplementedError("TODO 054")
