"""001 in another style: every step by hand, errors as the signal that torch cannot map an array."""

import warnings

import numpy as np
import torch
from torch import Tensor


def make_tensor(values: float | list) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def to_numpy(t: Tensor) -> np.ndarray:
    t = t.data.to("cpu")
    if t.is_conj():
        t = t.resolve_conj()
    if t.is_neg():
        t = t.resolve_neg()
    return t.to(torch.float32).numpy() if t.dtype is torch.bfloat16 else t.numpy()


def from_numpy(a: np.ndarray) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.from_numpy(a)
        except (TypeError, ValueError):
            return torch.from_numpy(a.astype(a.dtype.newbyteorder("="), order="C"))
