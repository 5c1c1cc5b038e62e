"""Task 085 as torchviz draws it, breadth first, with a node for each AccumulateGrad and one for the output; the summary
by one hook for all modules."""

from collections import deque, namedtuple

import torch

LayerRow = namedtuple("LayerRow", "name type output_shape params")


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def autograd_dot(output, params=None):
    name_of = {tensor: name for name, tensor in params.items()} if params else {}
    lines = ["digraph G {", "  rankdir=LR; // left to right", '  node [shape=box, style="filled"]']
    lines += [f"  out [label={quoted(str(tuple(output.shape)))}, fillcolor=darkolivegreen1]"]
    order, queue = {output.grad_fn: "f0"}, deque([output.grad_fn])
    lines += ["  f0 -> out"]
    while queue:
        fn = queue.popleft()
        me = order[fn]
        lines.append(f"  {me} [label={quoted(type(fn).__name__)}]")
        if hasattr(fn, "variable"):
            shape = "x".join(map(str, fn.variable.shape))
            label = f"{name_of.get(fn.variable, '')} [{shape}]"
            lines += [f"  v{me} [label={quoted(label)} fillcolor=lightblue]", f"  v{me} -> {me}"]
        for child, _index in fn.next_functions:
            if child is not None:
                if child not in order:
                    order[child] = f"f{len(order)}"
                    queue.append(child)
                lines.append(f"  {order[child]} -> {me}")
    return "\n".join(lines) + "\n}\n"


def module_summary(model, example):
    names = {id(module): name for name, module in model.named_modules()}
    rows, known, training = [], set(), [module for module in model.modules() if module.training]

    def hook(module, args, output):
        if id(module) not in names or next(module.children(), None) is not None:
            return
        new = {id(p): p.numel() for p in module.parameters() if id(p) not in known}
        known.update(new)
        rows.append(LayerRow(names[id(module)], module.__class__.__name__, output.size(), sum(new.values())))

    handle = torch.nn.modules.module.register_module_forward_hook(hook)
    try:
        with torch.inference_mode():
            model.eval()(example)
    finally:
        handle.remove()
        for module in training:
            module.training = True
    return rows
