"""039 · 自定義的損失函數，並在模型中使用

題目
    把平方誤差與絕對誤差合成一個損失，再寫一個用它訓練模型的函數。e = predictions − targets，對所有元素取平均：

        loss = mean(e²) + w · mean(|e|)

    e = 0 時 |e| 不可微，這裡取梯度 0（torch.abs 就是如此）；寫成 √(e²) 得到的是 NaN。

    predictions 是 (B, 1) 而 targets 是 (B,) 時，相減會 broadcast 成 (B, B)，訓練照樣進行，學到的卻是錯的；
    nn.MSELoss 只給一個警告。這裡形狀不同一律拋出 ValueError。

介面
    MseMaeLoss(mae_weight=1.0)
    MseMaeLoss.forward(predictions, targets)
        兩者同形、同 dtype，維度不限，記憶體可以不連續；回傳純量，dtype 不變。
        形狀不同時拋出 ValueError，訊息含兩個形狀，照 tuple 或 torch.Size 印出來的樣子（例如含有 17, 1）。
    fit(model, loss_fn, x, y, *, lr, steps) -> list[float]
        就地訓練 model：每一步用整批 x、y 算 loss_fn(model(x), y)，做一次 SGD，θ ← θ − lr · ∂loss/∂θ，
        沒有 momentum 與 weight decay。
        回傳 steps 個 Python float：第 i 個是第 i 次更新「之前」的損失；steps = 0 時是空的 list，模型不動。
        loss_fn 是任何吃 (predictions, targets) 的可呼叫物件。參數上可能留有舊的 grad，不可混進來；
        requires_grad=False 的參數不動。model 的 train／eval 模式由呼叫者設定，fit 不必管。

評分
    形狀  損失是純量，dtype 與輸入相同
    數值  各種 mae_weight（含 0 與預設值）、各種維度都符合上式；
          fit 的每個損失與每個參數，與照著上面的更新式算的相同
    梯度  對 predictions 與 targets 的 gradcheck；e = 0 的元素梯度是 0
    行為  形狀不同（能 broadcast 也一樣）時拋出 ValueError，經由 fit 也是；fit 用的是所給的 loss_fn；
          舊的 grad、凍結的參數、steps = 0；不改動輸入

範例
    >>> predictions = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> loss = MseMaeLoss(mae_weight=0.5)(predictions, torch.tensor([1.0, 2.0, 6.0]))    # 9/3 + 0.5 · 3/3
    >>> loss.item()
    3.5
    >>> loss.backward()
    >>> predictions.grad                                                                 # (2e + 0.5 · sign(e)) / 3
    tensor([ 0.0000,  0.0000, -2.1667])

面試追問
    1. 有離群值時，MSE、MAE、Huber 的梯度各有多大？這個損失偏向哪一個？
    2. 為什麼 loss 要用 item() 收進 list，而不是直接收 tensor？
    3. reduction 從 mean 換成 sum，學習率要怎麼跟著改？多卡各自 mean 再平均，什麼時候不等於整批的 mean？
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class MseMaeLoss(nn.Module):
    def __init__(self, mae_weight: float = 1.0) -> None:
        super().__init__()
        raise NotImplementedError("TODO 039")

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """predictions (*)、targets (*) -> 純量。"""
        raise NotImplementedError("TODO 039")


def fit(
    model: nn.Module,
    loss_fn: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    lr: float,
    steps: int,
) -> list[float]:
    """x (B, …)、y 與 model(x) 同形 -> steps 個損失，各是該次更新之前的。"""
    raise NotImplementedError("TODO 039")
