"""007：Module.apply 與 torch.randn，反過來由 make_linear 的工具組成。"""

import torch
from torch import nn


@torch.no_grad()
def _fill(layer, std, generator):
    layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * std)


def make_linear(in_features, out_features, *, std=0.02, generator=None):
    layer = nn.Linear(in_features, out_features)
    _fill(layer, std, generator)
    with torch.no_grad():
        layer.bias.fill_(0.0)
    return layer


def init_linears_(model, *, std=0.02, generator=None):
    done = []

    def visit(module):
        if isinstance(module, nn.Linear):
            if not any(module.weight is weight for weight in done):
                _fill(module, std, generator)
                done.append(module.weight)
            if getattr(module, "bias", None) is not None:
                module.bias.data.zero_()

    return model.apply(visit)
