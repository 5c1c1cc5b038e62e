"""Task 075 with torchao for the linear layers, and torch.ao for the LSTM that torchao does not know."""

import copy
from io import BytesIO

import torch
from torch import nn
from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_


def quantize_dynamic_int8(model):
    if any(isinstance(module, nn.LSTM) for module in model.modules()):
        model = torch.ao.quantization.quantize_dynamic(model, qconfig_spec={nn.LSTM})
    else:
        model = copy.deepcopy(model)
    quantize_(model, Int8DynamicActivationInt8WeightConfig())
    return model


def model_size_bytes(model):
    torch.save(model.state_dict(), buffer := BytesIO())
    return buffer.getbuffer().nbytes
