"""Task 086 with the batch norms folded by hand in torch.fx, so that TorchScript has only to freeze."""

import copy
import warnings

import torch
from torch import fx, nn


def fold(conv, norm):
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
    bias = bias * scale + (0 if norm.bias is None else norm.bias)
    conv.weight = nn.Parameter(conv.weight * scale.reshape(-1, 1, 1, 1))
    conv.bias = nn.Parameter(bias)


@torch.no_grad()
def optimize_for_inference(model, example):
    graph_module = fx.symbolic_trace(copy.deepcopy(model).eval())
    modules = dict(graph_module.named_modules())
    for node in list(graph_module.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        conv = modules.get(before.target) if before.op == "call_module" else None
        if isinstance(conv, nn.Conv2d) and len(before.users) == 1:
            fold(conv, modules[node.target])
            node.replace_all_uses_with(before)
            graph_module.graph.erase_node(node)
    graph_module.recompile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.freeze(torch.jit.trace(graph_module, example))
