"""065 · another style: infinities at first, one comparison for both modes by the sign, clones copied back by hand."""

import math

import torch


class EarlyStopping:
    def __init__(self, patience=5, *, min_delta=0.0, mode="min"):
        if not patience >= 1:
            raise ValueError(f"patience={patience}: at least one step")
        try:
            self.sign = {"min": 1.0, "max": -1.0}[mode]
        except KeyError:
            raise ValueError(f"unknown mode: {mode}") from None
        self.patience, self.min_delta = patience, min_delta
        self.best_value = self.sign * math.inf
        self.best_step = None
        self.bad_steps = 0
        self.count = 0
        self.kept = {}

    def step(self, value, model):
        self.count += 1
        self.bad_steps += 1
        if self.sign * value < self.sign * self.best_value - self.min_delta:
            self.best_value, self.best_step = value, self.count
            self.bad_steps = 0
            self.kept = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
        return self.bad_steps == self.patience

    @torch.no_grad()
    def restore(self, model):
        if not self.kept:
            raise RuntimeError("nothing to restore")
        for name, tensor in model.state_dict().items():
            tensor.copy_(self.kept[name])

    def state_dict(self):
        return dict(vars(self))

    def load_state_dict(self, state):
        vars(self).update(state)
