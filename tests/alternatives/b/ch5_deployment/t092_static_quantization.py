"""Task 092 by PT2E: torch.export, then torchao's prepare and convert for x86."""

import os
import tempfile
from typing import NamedTuple

import torch
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86


class SizeReport(NamedTuple):
    original_bytes: int
    quantized_bytes: int
    ratio: float


def quantize_static(model, calibration_batches):
    if model.training:
        raise ValueError("call model.eval() first")
    batches = [*calibration_batches]
    if len(batches) == 0:
        raise ValueError("at least one batch is needed")
    example = batches[0] if len(batches[0]) > 1 else batches[0].repeat(2, 1)
    batch = torch.export.Dim("batch", min=1, max=65536)
    program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(program.module(), quantizer)
    for batch in batches:
        prepared(batch)
    converted = convert_pt2e(prepared)
    used = {node.target for node in converted.graph.nodes if node.op == "get_attr"}
    for name in [name for name, _ in converted.named_parameters() if name not in used]:
        owner, _, leaf = name.rpartition(".")
        delattr(converted.get_submodule(owner), leaf)  # the float weights, which convert_pt2e leaves behind
    return converted


def _saved(model):
    with tempfile.TemporaryDirectory() as folder:
        torch.save(model.state_dict(), path := os.path.join(folder, "m.pt"))
        return os.stat(path).st_size


def size_report(original, quantized):
    old, new = _saved(original), _saved(quantized)
    return SizeReport(old, new, ratio=new / old)
