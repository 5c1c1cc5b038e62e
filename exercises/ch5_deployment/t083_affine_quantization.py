"""083 · 模型的量化（Quantization）

題目
    把浮點數存成 8 位元整數，仿射（affine）量化只有一條公式：

        data = clamp(round(x / scale) + zero_point, −128, 127)      存成 int8
        x̂    = (data − zero_point) · scale                           還原

    scale 是一步的大小，zero_point 是代表 0 的那個整數，本身也在 −128..127；所以 0 還原後恰好是 0
    （padding、ReLU 的 0 不能變成 0.003）。為此範圍一定要把 0 包進來：

        非對稱  low = min(x 的最小值, 0)，high = max(x 的最大值, 0)；scale 約是 (high − low) / 255
        對稱    scale = |x| 的最大值 / 127，zero_point = 0

    四捨五入最多差半步。x 全是 0 時範圍是 0，scale 不能拿來除。axis 不是 None 時，沿該維的每個 channel 各有自己的
    scale 與 zero_point（權重常這麼做：各 channel 的大小可以差一百倍）。

    fake_quantize 是訓練時的模擬（quantization-aware training）：前向照上面兩式量化再還原，結果仍是浮點數。round 的
    導數處處是 0，所以反向用 straight-through estimator：round(x / scale) + zero_point 在 −128..127 之內的元素
    梯度原樣通過，超出的是 0。zero_point 是在 round 之後才加的，0.5 捨入到偶數（torch.round）。別靠 clamp 的梯度來截：
    恰好在端點的值，torch 2.11 給 1，2.15 給 0，這裡要的是 1。

介面
    quantize(x, *, symmetric=False, axis=None) -> QuantizedTensor
        x 是 float32 張量，可以不連續，沒有 NaN 或 inf。給了 axis 時 x 至少二維，0 ≤ axis < x.dim()。
    QuantizedTensor
        data         int8，形狀同 x
        scale、zero_point
                     axis 為 None 時各是一個數（純量張量或 Python 的數），否則各是 C 個數的張量，C = x.shape[axis]；
                     zero_point 是整數值
        dequantize() 還原成浮點張量，形狀同 x
    fake_quantize(x, scale, zero_point) -> Tensor
        形狀與 dtype 同 x（float32 或 float64，沒有 NaN）；scale > 0，zero_point 在 −128..127。

評分
    形狀  上述的形狀、個數與 dtype
    數值  還原的誤差不超過半步；非對稱時一步不超過 (high − low) / 254，對稱時 scale = |x| 的最大值 / 127、
          zero_point = 0（x 約 0.001、約 1000，全是正的、全是負的，都是這樣）
          x 裡的 0 還原後恰好是 0，zero_point 在 −128..127；常數張量、全 0 的張量；dequantize 照上式
          沿 axis 的每個 channel 各自符合以上各項
          fake_quantize 與 torch.fake_quantize_per_tensor_affine 相同：恰好在 0.5 的值、範圍兩端、±1e10
    梯度  fake_quantize 的梯度與它相同：四捨五入之後才看有沒有超出
    行為  不改動輸入
    速度  一百萬個元素的 fake_quantize，前向與反向，不超過參考解的 12 倍，也不逐元素迴圈
    禁用  torch.quantize_per_tensor、torch.quantize_per_tensor_dynamic、torch.quantize_per_channel、
          torch.fake_quantize_per_tensor_affine、torch.fake_quantize_per_channel_affine、torch.ao，
          經由 torch.ops 呼叫也是

範例
    >>> q = quantize(torch.tensor([0.0, 0.503, 1.0, 2.55]))
    >>> q.data
    tensor([-128,  -78,  -28,  127], dtype=torch.int8)
    >>> q.dequantize()
    tensor([0.0000, 0.5000, 1.0000, 2.5500])
    >>> fake_quantize(torch.tensor([0.5, 1.5, 200.0]), 1.0, 1)
    tensor([  0.,   2., 126.])

面試追問
    1. 權重為什麼常用對稱、per-channel，activation 卻用非對稱、per-tensor？與 int8 矩陣乘法的 zero_point 有什麼關係？
    2. 有離群值時，用最大最小值定範圍有什麼問題？百分位數、MSE、KL 校正各怎麼做？
    3. straight-through estimator 是有偏的，為什麼訓練還是收斂？範圍外的梯度該不該是 0？
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class QuantizedTensor:
    data: Tensor
    scale: Tensor
    zero_point: Tensor
    axis: int | None = None

    def dequantize(self) -> Tensor:
        """-> 形狀同 data 的浮點張量。"""
        raise NotImplementedError("TODO 083")


def quantize(x: Tensor, *, symmetric: bool = False, axis: int | None = None) -> QuantizedTensor:
    """x (*) -> int8 的 data (*)，以及 scale 與 zero_point：一個，或沿 axis 每個 channel 一個。"""
    raise NotImplementedError("TODO 083")


def fake_quantize(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """x (*) -> (*)：量化再還原，straight-through 梯度。"""
    raise NotImplementedError("TODO 083")
