"""Task 072 by exporting the program first and saving the ONNX program by hand."""

import copy
import pathlib

import torch


def export_onnx(model, example, path, *, input_name="input", output_name="output"):
    frozen = copy.deepcopy(model).eval()
    batch = torch.export.Dim("n", min=1, max=4096)
    exported = torch.export.export(frozen, (example,), dynamic_shapes=({0: batch},))
    program = torch.onnx.export(exported, input_names=[input_name], output_names=[output_name])
    program.save(path, external_data=False)
    return pathlib.Path(path)
