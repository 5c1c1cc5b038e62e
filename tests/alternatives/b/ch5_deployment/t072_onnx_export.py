"""Task 072 with the older exporter, which traces."""

import contextlib
import warnings
from pathlib import Path

import torch


@contextlib.contextmanager
def evaluating(model):
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def export_onnx(model, example, path, *, input_name="input", output_name="output"):
    with evaluating(model), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            example,
            str(path),
            input_names=[input_name],
            output_names=[output_name],
            dynamic_axes={input_name: {0: "batch_size"}, output_name: {0: "batch_size"}},
            do_constant_folding=True,
            dynamo=False,
        )
    return Path(path)
