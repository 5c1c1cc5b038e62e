"""082 · another style: torch.nn.utils.parametrize, with masks of its own."""

import torch
from torch import nn
from torch.nn.utils import parametrize


class Masked(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, value):
        return torch.where(self.mask, value, torch.zeros_like(value))


def targets(model):
    return [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)]


def prune_global(model, amount):
    if amount < 0 or amount > 1:
        raise ValueError(f"amount={amount}")
    layers = targets(model)
    with torch.no_grad():
        magnitudes = torch.cat([layer.weight.abs().reshape(-1) for layer in layers])
        order = magnitudes.argsort()
        kept = torch.ones_like(magnitudes, dtype=torch.bool)
        kept[order[: round(amount * len(magnitudes))]] = False
    for layer, mask in zip(layers, kept.split([layer.weight.numel() for layer in layers]), strict=True):
        parametrize.register_parametrization(layer, "weight", Masked(mask.view_as(layer.weight)))


def sparsity(model):
    flat = torch.cat([layer.weight.detach().reshape(-1) for layer in targets(model)])
    return (flat == 0).double().mean().item()


def make_permanent(model):
    for layer in list(model.modules()):
        for name in list(getattr(layer, "parametrizations", {})):
            parametrize.remove_parametrizations(layer, name, leave_parametrized=True)


def prune_channels(conv, amount):
    if amount < 0 or amount > 1:
        raise ValueError(f"amount={amount}")
    norms = torch.linalg.vector_norm(conv.weight.detach(), dim=(1, 2, 3))
    keep = norms.argsort(descending=True).argsort() < len(norms) - round(amount * len(norms))
    parametrize.register_parametrization(
        conv, "weight", Masked(keep[:, None, None, None].repeat(1, *conv.weight.shape[1:]))
    )
    if conv.bias is not None:
        parametrize.register_parametrization(conv, "bias", Masked(keep))
