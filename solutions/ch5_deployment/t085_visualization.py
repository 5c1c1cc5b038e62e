"""085 · 模型的可視化：參考解"""

import json
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LayerRow(NamedTuple):
    """葉模組的一次呼叫。"""

    name: str
    type: str
    output_shape: tuple[int, ...]
    params: int


def autograd_dot(output: Tensor, params: dict[str, Tensor] | None = None) -> str:
    """output 的 autograd 計算圖，寫成 Graphviz 的 DOT。"""
    names = {id(tensor): name for name, tensor in (params or {}).items()}
    nodes = {output.grad_fn: 0}  # 鍵是 grad_fn 本身而不是 id：留住物件，id 才不會在回收後重複（torch 2.11）
    edges, waiting = [], [output.grad_fn]
    while waiting:  # 不用遞迴：幾千個運算的鏈會超過 Python 的上限
        function = waiting.pop()
        for source, _ in function.next_functions:
            if source is None:
                continue
            if source not in nodes:
                nodes[source] = len(nodes)
                waiting.append(source)
            edges.append(f"    n{nodes[source]} -> n{nodes[function]};")
    lines = ["digraph {"]
    for function, number in nodes.items():
        label, leaf = function.name(), getattr(function, "variable", None)  # AccumulateGrad 才有 variable
        if leaf is not None:
            label = f"{names.get(id(leaf), '')}\n{tuple(leaf.shape)}"
        lines.append(f"    n{number} [shape=box, label={json.dumps(label, ensure_ascii=False)}];")
    return "\n".join([*lines, *edges, "}"])


def module_summary(model: nn.Module, example: Tensor) -> list[LayerRow]:
    """以 example 執行一次 model，每次葉模組的呼叫一列。"""
    rows, counted = [], set()
    names = {module: name for name, module in model.named_modules()}
    modes = {module: module.training for module in names}

    def record(module: nn.Module, _: tuple, output: Tensor) -> None:
        fresh = [parameter for parameter in module.parameters() if parameter not in counted]
        counted.update(fresh)
        count = sum(parameter.numel() for parameter in fresh)
        rows.append(LayerRow(names[module], type(module).__name__, tuple(output.shape), count))

    hooks = [module.register_forward_hook(record) for module in names if not list(module.children())]
    model.eval()
    try:
        with torch.no_grad():
            model(example)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():  # 逐一還原：model.train() 會連刻意凍結的子模組一起改
            module.training = training
    return rows
