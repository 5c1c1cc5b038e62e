"""083 · 仿射量化：參考解"""

from dataclasses import dataclass

import torch
from torch import Tensor

LOWEST, HIGHEST = -128, 127


@dataclass
class QuantizedTensor:
    data: Tensor
    scale: Tensor
    zero_point: Tensor
    axis: int | None = None

    def dequantize(self) -> Tensor:
        """-> 形狀同 data 的浮點張量。"""
        scale, zero_point = (along(part, self.data.dim(), self.axis) for part in (self.scale, self.zero_point))
        # int8 減純量張量仍是 int8，會溢位：先提升成 int32。
        return (self.data.int() - zero_point) * scale


def quantize(x: Tensor, *, symmetric: bool = False, axis: int | None = None) -> QuantizedTensor:
    """x (*) -> int8 的 data (*)，以及 scale 與 zero_point：一個，或沿 axis 每個 channel 一個。"""
    others = [dim for dim in range(x.dim()) if dim != axis]
    low, high = x.amin(others).clamp(max=0), x.amax(others).clamp(min=0)  # 範圍要包含 0
    scale = torch.maximum(-low, high) / HIGHEST if symmetric else (high - low) / (HIGHEST - LOWEST)
    scale = torch.where(scale == 0, 1.0, scale)  # 全是 0：哪一個 scale 都對，只是不能除以 0
    zero_point = torch.zeros_like(scale) if symmetric else LOWEST - torch.round(low / scale)
    wide, shift = (along(part, x.dim(), axis) for part in (scale, zero_point))
    data = (torch.round(x / wide) + shift).clamp(LOWEST, HIGHEST)  # 最大值可能恰好進位到 128
    return QuantizedTensor(data.to(torch.int8), scale, zero_point.to(torch.int32), axis)


def along(values: Tensor, dims: int, axis: int | None) -> Tensor:
    """(C,) 排到第 axis 維，以便與 dims 維的張量 broadcast；純量維持原樣。"""
    return values if axis is None else values.reshape([-1 if dim == axis else 1 for dim in range(dims)])


def fake_quantize(x: Tensor, scale: float, zero_point: int) -> Tensor:
    """x (*) -> (*)：量化再還原，straight-through 梯度。"""
    return FakeQuantize.apply(x, scale, zero_point)


class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, scale: float, zero_point: int) -> Tensor:
        steps = torch.round(x / scale) + zero_point
        data = steps.clamp(LOWEST, HIGHEST)
        ctx.save_for_backward(data == steps)  # 沒有被截掉的；看的是捨入之後的值
        return (data - zero_point) * scale

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return grad * inside, None, None
