"""Task 083 with a step of range / 254, keepdim statistics, and torch.where for the mask."""

import torch


class QuantizedTensor:
    def __init__(self, data, scale, zero_point):
        self.data, self.scale, self.zero_point = data, scale, zero_point

    def dequantize(self):
        return self.data.sub(self.zero_point.float()).mul(self.scale)


def quantize(x, *, symmetric=False, axis=None):
    dims = tuple(d for d in range(x.ndim) if d != axis)
    smallest, largest = torch.aminmax(x) if axis is None else (x.amin(dims, True), x.amax(dims, True))
    zero = torch.zeros_like(smallest)
    smallest, largest = torch.minimum(smallest, zero), torch.maximum(largest, zero)
    if symmetric:
        scale, zero_point = torch.maximum(smallest.abs(), largest.abs()) / 127, zero
    else:
        scale = (largest - smallest) / 254
        zero_point = (-127 - smallest / scale).nan_to_num(0.0).round().clamp(-128, 127)
    scale = scale + (scale == 0)
    data = (x / scale).round().add(zero_point).clamp(-128, 127).to(torch.int8)
    return QuantizedTensor(data, scale, zero_point)


class _RoundThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, grad):
        return grad


def fake_quantize(x, scale, zero_point):
    q = _RoundThrough.apply(x / scale) + zero_point
    inside = (q >= -128) & (q <= 127)  # the gradient of clamp at its ends differs between versions of torch
    return (torch.where(inside, q, q.detach().clamp(-128, 127)) - zero_point) * scale
