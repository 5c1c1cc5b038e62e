"""065 · 模型的早停：參考解"""

import copy
import math
from typing import Any

import torch
from torch import nn

STATE = ("steps", "best_value", "best_step", "bad_steps", "best_weights")


class EarlyStopping:
    best_value: float | None
    best_step: int | None
    bad_steps: int

    def __init__(self, patience: int = 5, *, min_delta: float = 0.0, mode: str = "min") -> None:
        if patience < 1:
            raise ValueError(f"patience 至少是 1，得到 {patience}")
        if mode not in ("min", "max"):
            raise ValueError(f"mode 應為 'min' 或 'max'，得到 {mode!r}")
        self.patience, self.min_delta, self.mode = patience, min_delta, mode
        self.steps = self.bad_steps = 0
        self.best_value = self.best_step = self.best_weights = None

    def step(self, value: float, model: nn.Module) -> bool:
        """記下一次驗證的結果；該停了就傳回 True。"""
        self.steps += 1
        if self.is_better(value):
            self.best_value, self.best_step, self.bad_steps = value, self.steps, 0
            # state_dict() 裡是模型自己的張量，dict 的淺複製也還是它們：要連張量一起複製。
            self.best_weights = copy.deepcopy(model.state_dict())
        else:
            self.bad_steps += 1
        return self.bad_steps >= self.patience

    def is_better(self, value: float) -> bool:
        if self.best_value is None:
            return not math.isnan(value)
        gain = self.best_value - value if self.mode == "min" else value - self.best_value
        return gain > self.min_delta  # NaN 的任何比較都是 False，自然不算改善

    def restore(self, model: nn.Module) -> None:
        """把最好的那一步的權重寫回 model。"""
        if self.best_weights is None:
            raise RuntimeError("還沒有最好的權重：沒有 step 過，或 value 都是 NaN")
        model.load_state_dict(self.best_weights)  # 逐一 copy_ 到原有的參數，optimizer 握著的仍是它們

    def state_dict(self) -> dict[str, Any]:
        """接續所需的一切。"""
        return {name: getattr(self, name) for name in STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """從 state_dict() 接續。"""
        for name in STATE:
            setattr(self, name, state[name])
