"""037：複製 backbone，batch norm 換成 torchvision 的 FrozenBatchNorm2d。"""

import copy

from torch import nn
from torchvision.ops import FrozenBatchNorm2d


def freeze_batch_norms(module):
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(child.num_features, eps=child.eps)
            frozen.load_state_dict(child.state_dict())
            setattr(module, name, frozen)
        else:
            freeze_batch_norms(child)


def build_transfer_model(backbone, num_classes):
    model = copy.deepcopy(backbone)
    freeze_batch_norms(model)
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, num_classes, device=model.fc.weight.device)
    nn.init.zeros_(model.fc.weight)
    nn.init.zeros_(model.fc.bias)
    return model


def trainable_parameters(model):
    return list(filter(lambda parameter: parameter.requires_grad, model.parameters()))
