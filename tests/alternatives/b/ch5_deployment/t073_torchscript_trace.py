"""Task 073: saved beside the path first, read back, compared as read, and moved into place at the end."""

import contextlib
import os
import tempfile
from pathlib import Path

import torch


@contextlib.contextmanager
def evaluating(model):
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield model
    finally:
        for module in training:
            module.training = True


def same(module, x, expected):
    try:
        found = module(x)
    except RuntimeError:
        return False
    return found.shape == expected.shape and torch.allclose(found, expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def truth(model, x):
    return model(x)


def trace_model(model, example, path, *, check_inputs=()):
    path = Path(path)
    with evaluating(model), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        new = os.path.join(folder, "new.pt")
        torch.jit.trace(model, example).save(new)
        module = torch.jit.load(new, map_location=example.device)
        for x in [example, *check_inputs]:
            if not same(module, x, truth(model, x)):
                raise ValueError(f"the trace differs for an input of shape {tuple(x.shape)}")
        os.replace(new, path)
    return module
