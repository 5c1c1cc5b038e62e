"""001 in another style: np.asarray for the way out, torch.as_tensor for the way in."""

import numpy as np
import torch
from torch import Tensor


def make_tensor(values: float | list) -> Tensor:
    return torch.as_tensor(values).to(torch.float32)


def to_numpy(t: Tensor) -> np.ndarray:
    with torch.no_grad():
        host = t.detach().cpu()
        if host.dtype == torch.bfloat16:
            host = host.float()
        if host.is_conj() or host.is_neg():
            host = host.clone().resolve_conj().resolve_neg()
        return np.asarray(host)


def from_numpy(a: np.ndarray) -> Tensor:
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder())
    if min(a.strides, default=0) < 0 or not a.flags["WRITEABLE"]:
        a = a.copy(order="C")
    return torch.as_tensor(a)
