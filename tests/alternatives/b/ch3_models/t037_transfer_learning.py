"""037：動態的子類別，train() 只切換 fc。"""

from torch import nn


def build_transfer_model(backbone, num_classes):
    class LinearProbe(type(backbone)):
        def train(self, mode=True):
            super().train(False)
            self.training = mode
            self.fc.train(mode)
            return self

    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(name.startswith("fc."))
    _, width = backbone.fc.weight.shape
    backbone.fc = nn.Linear(width, num_classes)
    backbone.__class__ = LinearProbe
    return backbone


def trainable_parameters(model):
    found = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            found.append(parameter)
    return found
