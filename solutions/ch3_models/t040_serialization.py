"""040 · 模型的序列化和反序列化：參考解"""

import io
from collections.abc import Callable

import torch
from torch import nn


def serialize(model: nn.Module) -> bytes:
    """模型的參數與 buffer -> bytes。"""
    state = model.state_dict()
    for name, value in state.items():
        state[name] = value.clone()  # view 會把整塊 storage 拖進檔案；clone 之後只剩自己的
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def deserialize(factory: Callable[[], nn.Module], data: bytes, *, device: str | torch.device = "cpu") -> nn.Module:
    """bytes -> factory() 建的模型，載入了 data，在 device 上，eval 模式。"""
    model = factory().to(device)
    try:
        # weights_only=True：只還原張量與基本容器，不執行 pickle 裡的任何函式。
        model.load_state_dict(torch.load(io.BytesIO(data), map_location=device, weights_only=True))
    except Exception as error:  # 截斷與別種格式：例外的型別不只一種
        raise ValueError(f"無法還原：{error}") from error
    return model.eval()
