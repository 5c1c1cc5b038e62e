"""007 · 線性層的初始化：參考解"""

import torch
from torch import nn


def make_linear(
    in_features: int, out_features: int, *, std: float = 0.02, generator: torch.Generator | None = None
) -> nn.Linear:
    """權重 (out_features, in_features) 服從 N(0, std²)，偏置 (out_features,) 為 0。"""
    layer = nn.Linear(in_features, out_features)
    return init_linears_(layer, std=std, generator=generator)


def init_linears_(model: nn.Module, *, std: float = 0.02, generator: torch.Generator | None = None) -> nn.Module:
    """model 裡每個 nn.Linear 的權重 (out, in) 改為 N(0, std²)，偏置 (out,) 改為 0；傳回 model。"""
    seen = set()
    for module in model.modules():  # 包含 model 自己與任何深度的子模組
        if not isinstance(module, nn.Linear):
            continue
        if module.weight not in seen:  # 共用的權重是同一個 Parameter：重抽會白白用掉 generator
            seen.add(module.weight)
            nn.init.normal_(module.weight, std=std, generator=generator)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return model
