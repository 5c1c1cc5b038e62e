"""037：每個 batch norm 在 forward 之前自己回到 eval。"""

import torch
from torch import nn


def to_eval(layer, inputs):
    layer.eval()


def build_transfer_model(backbone: nn.Module, num_classes: int) -> nn.Module:
    for module in backbone.modules():
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(False)
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.register_forward_pre_hook(to_eval)
    backbone.fc = nn.Linear(backbone.fc.in_features, num_classes)
    return backbone.eval()


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for _, parameter in model.named_parameters() if parameter.requires_grad]
