"""048 · 批正規化（Batch Normalization）層

題目
    對每個 channel 用一個 batch 的平均 μ 與變異數 σ² 做正規化，再乘上 weight、加上 bias：

        y = (x − μ) / √(σ² + eps) · weight + bias

    訓練時  μ、σ² 取自這個 batch，對 channel 以外的所有維度計算；每個 channel 有 n 個值，σ² 除以 n。
            接著更新 running_mean、running_var，這裡的變異數卻是除以 n − 1：

                running ← (1 − momentum) · running + momentum · 這個 batch 的值

            num_batches_tracked 加 1；momentum 為 None 時以 1 / num_batches_tracked（加 1 之後）代替，
            running 就成了所有 batch 的平均。
    推論時  μ、σ² 用 running_mean、running_var，什麼都不更新。

    Keras 的 momentum 是「保留多少舊值」，與這裡（PyTorch）相反；許多文章把兩者混為一談。

介面
    BatchNorm(num_features, eps=1e-5, momentum=0.1, affine=True)
        參數 weight（初值 1）、bias（初值 0）；affine=False 時兩者都是 None。
        buffer running_mean（初值 0）、running_var（初值 1）、num_batches_tracked（初值 0，int64 純量）。
        state_dict 的鍵、形狀與 nn.BatchNorm1d、nn.BatchNorm2d 相同，可以互相載入。
    forward(x)
        x 為 (N, C)、(N, C, L) 或 (N, C, H, W)，記憶體可以不連續。
        C ≠ num_features 時拋出 ValueError，訊息含收到的 C（nn.BatchNorm 拋出的是 RuntimeError）。
        訓練時每個 channel 只有一個值則拋出 ValueError，訊息寫出 x 的形狀，例如 (1, 5)；推論時照算。

評分
    形狀  輸出與輸入同形、同 dtype；state_dict 的鍵、形狀、dtype、初值與 nn.BatchNorm 相同
    數值  訓練與推論的輸出、各種 momentum（含 0、None）更新後的統計量，都與 nn.BatchNorm 相同；
          平均 1e4、標準差 1 的 float32 輸入，誤差不超過 0.01
    梯度  輸入、weight、bias 的梯度與 nn.BatchNorm 相同，訓練時梯度也流過 μ 與 σ²
    行為  state_dict 與 nn.BatchNorm 互通；統計量不帶計算圖；推論不改動統計量；不改動輸入；拋出上述例外
    速度  (64, 64, 16, 16) 的前向與反向，不超過參考解的 5 倍，也不逐 channel 迴圈
    禁用  nn.BatchNorm1d/2d/3d、F.batch_norm、F.instance_norm，以及它們底下的 aten 運算

範例
    >>> bn = BatchNorm(1, momentum=None)
    >>> bn(torch.tensor([[1.0], [3.0]]))
    tensor([[-1.0000],
            [ 1.0000]], grad_fn=<...>)
    >>> bn.running_mean, bn.running_var
    (tensor([2.]), tensor([2.]))

面試追問
    1. 為什麼正規化除以 n，running_var 卻除以 n − 1？batch 很小時，訓練與推論會差多少？
    2. 推論時如何把 BatchNorm 併進前一層卷積的 weight 與 bias？
    3. batch 只有 1、2 張圖（偵測、分割）時該換成什麼？多卡訓練時統計量又怎麼算？
"""

import torch
from torch import Tensor, nn


class BatchNorm(nn.Module):
    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True) -> None:
        super().__init__()
        raise NotImplementedError("TODO 048")

    def forward(self, x: Tensor) -> Tensor:
        """x (N, C)、(N, C, L) 或 (N, C, H, W) -> 同形。"""
        raise NotImplementedError("TODO 048")
