"""Task 073 with torch's own check, whose error is translated, on a copy of the model."""

import copy
import warnings

import torch


def trace_model(model, example, path, *, check_inputs=()):
    frozen = copy.deepcopy(model).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            script = torch.jit.trace(
                frozen, (example,), check_inputs=[(x,) for x in check_inputs], check_tolerance=1e-4
            )
        except (torch.jit.TracingCheckError, RuntimeError) as error:
            raise ValueError("the trace is not the model") from error
        torch.jit.save(script, str(path))
    return script
