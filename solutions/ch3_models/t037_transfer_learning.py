"""037 · 遷移學習：參考解"""

import types

import torch
from torch import nn


def build_transfer_model(backbone: nn.Module, num_classes: int) -> nn.Module:
    """torchvision 的 ResNet -> 只有新的 fc 會訓練的模型。"""
    backbone.requires_grad_(False)
    backbone.fc = nn.Linear(backbone.fc.in_features, num_classes)  # 凍結之後才換：新的一層需要梯度
    backbone.train = types.MethodType(_train_without_batch_norm, backbone)
    return backbone.train(backbone.training)


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """model 裡需要梯度的參數。"""
    return [p for p in model.parameters() if p.requires_grad]


def _train_without_batch_norm(self: nn.Module, mode: bool = True) -> nn.Module:
    """取代 train()：running 統計量不是參數，凍結管不到，所以 batch norm 一律留在 eval。"""
    nn.Module.train(self, mode)
    for module in self.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return self
