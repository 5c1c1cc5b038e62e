"""Task 085 with ids that are names, a depth-first walk by iterators, and a summary from wrapped forwards."""

import contextlib
import dataclasses

import torch


@dataclasses.dataclass
class LayerRow:
    name: str
    type: str
    output_shape: tuple
    params: int


def autograd_dot(output, params=None):
    params = params or {}
    found = {}

    def name(fn):
        if fn not in found:
            found[fn] = len(found)
        return f'"node {found[fn]}"'

    def text(fn):
        if not hasattr(fn, "variable"):
            return fn.name()
        owner = [key for key, value in params.items() if value is fn.variable]
        return " ".join([*owner, f"shape={list(fn.variable.shape)}"])

    root = output.grad_fn
    edges, path = [], [(root, iter(root.next_functions))]
    name(root)
    while path:
        fn, sources = path[-1]
        for source, _ in sources:
            if source is None:
                continue
            known = source in found
            edges.append((name(source), name(fn)))
            if not known:
                path.append((source, iter(source.next_functions)))
                break
        else:
            path.pop()
    nodes = "".join(f'{name(fn)} [label="{text(fn)}"] ' for fn in found)
    return "digraph autograd { " + nodes + " ".join(f"{a} -> {b};" for a, b in edges) + " }"


@contextlib.contextmanager
def wrapped(module, note):
    original = module.forward

    def forward(*args, **kwargs):
        result = original(*args, **kwargs)
        note(module, result)
        return result

    module.forward = forward
    try:
        yield
    finally:
        del module.forward


def module_summary(model, example):
    rows, left = [], {parameter: parameter.numel() for parameter in model.parameters()}
    names = dict(map(reversed, model.named_modules()))

    def note(module, result):
        count = sum(left.pop(parameter, 0) for parameter in module.parameters())
        rows.append(LayerRow(names[module], type(module).__name__, tuple(result.shape), count))

    with contextlib.ExitStack() as stack:
        for module in model.modules():
            stack.callback(setattr, module, "training", module.training)
            if not any(module.children()):
                stack.enter_context(wrapped(module, note))
        stack.enter_context(torch.no_grad())
        model.eval()
        model(example)
    return rows
