"""Modules that are imported at their first use, so that collecting the graders needs no torch."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any


class LazyModule(ModuleType):
    """Stands for a module until one of its attributes is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


if TYPE_CHECKING:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from torch import nn
else:
    np, torch = LazyModule("numpy"), LazyModule("torch")
    nn, F = LazyModule("torch.nn"), LazyModule("torch.nn.functional")
