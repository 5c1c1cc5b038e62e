"""082 · 剪枝：參考解"""

import torch
from torch import nn
from torch.nn.utils import prune

PRUNABLE = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def prune_global(model: nn.Module, amount: float) -> None:
    """所有可剪的權重一起比，|w| 最小的 round(amount · n) 個變成 0。"""
    parameters = [(layer, "weight") for layer in _layers(model)]
    prune.global_unstructured(parameters, pruning_method=prune.L1Unstructured, amount=_fraction(amount))


def sparsity(model: nn.Module) -> float:
    """可剪的權重中 0 所佔的比例。"""
    weights = [layer.weight for layer in _layers(model)]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def make_permanent(model: nn.Module) -> None:
    """把剪枝的結果定下來，state_dict 的名稱回到剪枝之前。"""
    for module in model.modules():
        for name in ("weight", "bias"):
            if hasattr(module, f"{name}_mask"):  # 沒剪過的 prune.remove 會拋出例外
                prune.remove(module, name)


def prune_channels(conv: nn.Conv2d, amount: float) -> None:
    """L2 範數最小的 round(amount · out_channels) 個輸出 channel 變成 0，bias 也是。"""
    count = round(_fraction(amount) * conv.out_channels)
    norms = conv.weight.detach().flatten(1).norm(dim=1)
    mask = torch.ones_like(norms)
    mask[norms.argsort()[:count]] = 0
    prune.custom_from_mask(conv, "weight", mask.reshape(-1, 1, 1, 1).expand_as(conv.weight).clone())
    if conv.bias is not None:  # 權重全是 0 的 channel，輸出還有 bias
        prune.custom_from_mask(conv, "bias", mask)


def _layers(model: nn.Module) -> list[nn.Module]:
    return [module for module in model.modules() if isinstance(module, PRUNABLE)]


def _fraction(amount: float) -> float:
    if not 0 <= amount <= 1:
        raise ValueError(f"amount 應在 0 到 1 之間，得到 {amount}")
    return float(amount)  # 整數 1 對 torch.nn.utils.prune 是一個權重，不是全部
