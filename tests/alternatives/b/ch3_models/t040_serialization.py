"""040：舊的（不是 zip 的）格式；先載入再搬到裝置上。"""

import pickle
from io import BytesIO

import torch


def serialize(model):
    stream = BytesIO()
    state = {k: v.detach().clone().cpu() for k, v in model.state_dict().items()}
    torch.save(state, stream, _use_new_zipfile_serialization=False)
    return bytes(stream.getbuffer())


def deserialize(factory, data, *, device="cpu"):
    if not data:
        raise ValueError("empty data")
    try:
        state = torch.load(BytesIO(data), weights_only=True, map_location=torch.device(device))
    except (EOFError, RuntimeError, pickle.UnpicklingError, ValueError, KeyError, TypeError, IndexError) as e:
        raise ValueError("cannot read: " + repr(e)) from e
    if not isinstance(state, dict):
        raise ValueError(f"expected a state_dict, got {type(state)}")
    net = factory()
    try:
        missing, unexpected = net.load_state_dict(state, strict=False)
    except RuntimeError as e:
        raise ValueError(e.args[0]) from None
    if missing or unexpected:
        raise ValueError(f"missing {missing}, unexpected {unexpected}")
    net.to(device)
    net.train(False)
    return net
