"""071 · 混合精度訓練的 loss scaling：參考解"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class LossScaler:
    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        self.factor = float(init_scale)
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval = growth_interval
        self.good_updates = 0
        self.finite: dict[int, bool] = {}  # 這次迭代 unscale 過的 optimizer：梯度是否都有限

    def scale(self, loss: Tensor) -> Tensor:
        """純量 -> 乘上 scale 的純量。"""
        return loss * self.factor

    @torch.no_grad()
    def unscale_(self, optimizer: Optimizer) -> None:
        """就地把 optimizer 的梯度除以 scale。"""
        if id(optimizer) in self.finite:
            raise RuntimeError("update 之前，這個 optimizer 已經 unscale_ 過了")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for grad in grads:
            grad.mul_(1 / self.factor)
        # 逐元素看，不看總和或範數：有限但很大的梯度加起來會溢位。先疊成一個張量，整個 optimizer 只讀回一次。
        self.finite[id(optimizer)] = not grads or bool(torch.stack([grad.isfinite().all() for grad in grads]).all())

    def step(self, optimizer: Optimizer) -> bool:
        """梯度都有限才更新；傳回是否更新了。"""
        if id(optimizer) not in self.finite:
            self.unscale_(optimizer)
        finite = self.finite[id(optimizer)]
        if finite:
            optimizer.step()
        return finite

    def update(self) -> None:
        """依這次迭代有沒有溢位，調整 scale。"""
        if all(self.finite.values()):
            self.good_updates += 1
            if self.good_updates == self.growth_interval:
                self.factor, self.good_updates = self.factor * self.growth_factor, 0
        else:
            self.factor, self.good_updates = self.factor * self.backoff_factor, 0
        self.finite.clear()

    def get_scale(self) -> float:
        """目前的 scale。"""
        return self.factor

    def state_dict(self) -> dict[str, Any]:
        """接續所需的一切。"""
        return {"scale": self.factor, "good_updates": self.good_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """從 state_dict() 接續。"""
        self.factor, self.good_updates = state["scale"], state["good_updates"]
