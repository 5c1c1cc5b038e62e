"""065 · another style: the whole model is copied, the history kept, and the counters follow from it."""

import copy
import math

from torch import nn


class EarlyStopping:
    def __init__(self, patience: int = 5, *, min_delta: float = 0.0, mode: str = "min") -> None:
        if patience < 1:
            raise ValueError(patience)
        if mode != "min" and mode != "max":
            raise ValueError(mode)
        self.patience = patience
        self.min_delta = min_delta
        self.mode = mode
        self.history: list[float] = []
        self.best_step: int | None = None
        self.copy: nn.Module | dict | None = None

    @property
    def best_value(self) -> float | None:
        return None if self.best_step is None else self.history[self.best_step - 1]

    @property
    def bad_steps(self) -> int:
        return len(self.history) - (self.best_step or 0)

    def step(self, value: float, model: nn.Module) -> bool:
        best = self.best_value
        self.history.append(value)
        if math.isnan(value):
            better = False
        elif best is None:
            better = True
        elif self.mode == "min":
            better = best - value > self.min_delta
        else:
            better = value - best > self.min_delta
        if better:
            self.best_step = len(self.history)
            self.copy = copy.deepcopy(model).state_dict()
        return self.bad_steps >= self.patience

    def restore(self, model: nn.Module) -> None:
        if self.copy is None:
            raise RuntimeError("call step first")
        model.load_state_dict(self.copy)

    def state_dict(self) -> dict:
        return {"history": self.history, "best_step": self.best_step, "copy": self.copy}

    def load_state_dict(self, state: dict) -> None:
        self.history = list(state["history"])
        self.best_step = state["best_step"]
        self.copy = state["copy"]
