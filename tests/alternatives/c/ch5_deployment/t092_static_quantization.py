"""Task 092 by torch.ao's FX graph mode."""

import copy
import io
import warnings
from types import SimpleNamespace as SizeReport

import torch


def quantize_static(model, calibration_batches):
    from torch.ao.quantization import QConfigMapping, get_default_qconfig
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    calibration_batches = list(calibration_batches)
    if model.training or not calibration_batches:
        raise ValueError("an evaluating model and some batches are needed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mapping = QConfigMapping().set_global(get_default_qconfig(torch.backends.quantized.engine))
        observed = prepare_fx(copy.deepcopy(model), mapping, example_inputs=(calibration_batches[0],))
        with torch.inference_mode():
            for inputs in calibration_batches:
                observed(inputs)
        return convert_fx(observed)


def size_report(original, quantized):
    sizes = []
    for model in (original, quantized):
        buffer = io.BytesIO()
        torch.save(model.state_dict(), buffer)
        sizes.append(len(buffer.getvalue()))
    return SizeReport(original_bytes=sizes[0], quantized_bytes=sizes[1], ratio=sizes[1] / sizes[0])
