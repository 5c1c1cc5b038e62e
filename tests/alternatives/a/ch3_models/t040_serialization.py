"""040：外面再包一層 dict；自己比對鍵與形狀，逐個複製。"""

import io

import torch


def serialize(model):
    tensors = {}
    for name, value in model.state_dict().items():
        own = torch.empty(value.shape, dtype=value.dtype, device="cpu")
        own.copy_(value)
        tensors[name] = own
    with io.BytesIO() as file:
        torch.save({"version": 1, "tensors": tensors}, file)
        return file.getvalue()


def deserialize(factory, data, *, device="cpu"):
    try:
        document = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        tensors = dict(document["tensors"])
    except Exception as error:
        raise ValueError(f"not a model of ours: {type(error).__name__}") from error
    model = factory()
    own = model.state_dict()
    wrong = sorted(own.keys() ^ tensors.keys())
    wrong += [f"{k} {tuple(v.shape)}" for k, v in tensors.items() if k in own and own[k].shape != v.shape]
    if wrong:
        raise ValueError(f"does not fit: {', '.join(wrong)}")
    with torch.no_grad():
        for name, value in tensors.items():
            own[name].copy_(value)
    for module in model.modules():
        module.training = False
    return model.to(device)
