"""082 · another style: the weights themselves become zero, and hooks keep their gradients zero."""

import torch
from torch import nn


def layers(model):
    for module in model.modules():
        if type(module) in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d):
            yield module


def check(amount):
    if not (amount >= 0 and amount <= 1):
        raise ValueError(f"amount must be within [0, 1], not {amount}")


@torch.no_grad()
def silence(module, name, dead):
    parameter = getattr(module, name)
    parameter.masked_fill_(dead, 0.0)
    handle = parameter.register_hook(lambda grad: grad.masked_fill(dead, 0.0))
    module.__dict__.setdefault("_silenced", []).append(handle)


@torch.no_grad()
def prune_global(model, amount):
    check(amount)
    found = list(layers(model))
    sizes = torch.cat([m.weight.abs().flatten() for m in found])
    dead = torch.zeros_like(sizes, dtype=torch.bool)
    dead[sizes.topk(round(amount * sizes.numel()), largest=False).indices] = True
    for m, part in zip(found, dead.split([m.weight.numel() for m in found]), strict=True):
        silence(m, "weight", part.view_as(m.weight))


def sparsity(model):
    zeros = total = 0
    for m in layers(model):
        total += m.weight.numel()
        zeros += int(m.weight.numel() - m.weight.count_nonzero())
    return zeros / total


def make_permanent(model):
    for module in model.modules():
        for handle in module.__dict__.pop("_silenced", []):
            handle.remove()


def prune_channels(conv, amount):
    check(amount)
    squares = conv.weight.detach().square().sum((1, 2, 3))
    dead = torch.zeros_like(squares, dtype=torch.bool)
    dead[squares.topk(round(amount * len(squares)), largest=False).indices] = True
    silence(conv, "weight", dead.view(-1, 1, 1, 1).expand_as(conv.weight).clone())
    if conv.bias is not None:
        silence(conv, "bias", dead)
