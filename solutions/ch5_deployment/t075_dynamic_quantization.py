"""075 · 動態量化：參考解"""

import copy
import io
import warnings

import torch
from torch import nn


def quantize_dynamic_int8(model: nn.Module) -> nn.Module:
    """Linear 與 LSTM 的權重換成 int8、activation 在執行時量化的新模型；原來的不變。"""
    copied = copy.deepcopy(model).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torchao 還沒有 LSTM，只好用 torch.ao
        return torch.ao.quantization.quantize_dynamic(copied, {nn.Linear, nn.LSTM}, dtype=torch.qint8)


def model_size_bytes(model: nn.Module) -> int:
    """model 的 state_dict 以 torch.save 存檔後的 byte 數。"""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.tell()
