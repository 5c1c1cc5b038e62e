"""Task 086 by scripting a copy, with TorchScript's own passes for inference."""

import copy
import warnings

import torch


def optimize_for_inference(model, example):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.script(copy.deepcopy(model).eval(), example_inputs=[(example,)])
        return torch.jit.optimize_for_inference(script)
