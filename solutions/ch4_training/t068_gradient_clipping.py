"""068 · 梯度截斷：參考解"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_grad_norm(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> Tensor:
    """把所有梯度的整體範數截到 max_norm，傳回截斷之前的範數。"""
    grads = gradients(parameters)
    if not grads:
        return torch.tensor(0.0)
    norms = [torch.linalg.vector_norm(grad, norm_type) for grad in grads]
    total = torch.linalg.vector_norm(torch.stack(norms), norm_type)  # 各段範數的 p-範數就是整體的 p-範數
    # clamp 取代 if total > max_norm：if 要把 total 讀回 Python，在 GPU 上得等它算完。乘以 1 不會改變任何位元。
    scale = torch.clamp(max_norm / (total + 1e-6), max=1.0)
    for grad in grads:
        grad.mul_(scale)
    return total


@torch.no_grad()
def clip_grad_value(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """把梯度的每個元素截在 [−clip_value, clip_value]。"""
    for grad in gradients(parameters):
        grad.clamp_(-clip_value, clip_value)


def gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    """有梯度的參數的梯度；先收成 list，因為 model.parameters() 只能走一遍。"""
    if isinstance(parameters, Tensor):
        parameters = [parameters]
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
