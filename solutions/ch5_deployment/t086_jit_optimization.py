"""086 · torch.jit 加速推理：參考解"""

import warnings

import torch
from torch import Tensor, nn


def optimize_for_inference(model: nn.Module, example: Tensor) -> torch.jit.ScriptModule:
    """model 的推論版：凍結、摺疊了 batch norm 的 ScriptModule。example (batch, C, H, W)。"""
    modes = {module: module.training for module in model.modules()}
    model.eval()  # freeze 與摺疊都照 trace 當時的模式
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated
            traced = torch.jit.trace(model, example)
            return torch.jit.freeze(traced)  # 參數變成常數，同時摺疊卷積後面的 batch norm
    finally:
        for module, training in modes.items():  # 逐一還原：model.train() 會連刻意凍結的子模組一起改
            module.training = training
