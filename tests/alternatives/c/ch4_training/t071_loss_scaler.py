"""071 · another style: what is known of an optimizer lives as long as the optimizer, and has a state of its own."""

import enum
import weakref

import torch


class Stage(enum.Enum):
    UNSCALED = enum.auto()
    STEPPED = enum.auto()


class LossScaler:
    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        self._scale = torch.tensor(float(init_scale))
        self._tracker = 0
        self._growth, self._backoff, self._interval = growth_factor, backoff_factor, growth_interval
        self._records = weakref.WeakKeyDictionary()

    def scale(self, loss):
        return loss * self._scale.to(loss.device)

    @torch.no_grad()
    def unscale_(self, optimizer):
        if optimizer in self._records:
            raise RuntimeError("unscale_() or step() has been called on this optimizer since the last update()")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        finite = all(torch.isfinite(grad).all().item() for grad in grads)
        if grads:
            torch._foreach_div_(grads, self._scale.item())
        self._records[optimizer] = {"stage": Stage.UNSCALED, "finite": finite}

    def step(self, optimizer):
        if optimizer not in self._records:
            self.unscale_(optimizer)
        record = self._records[optimizer]
        if record["stage"] is Stage.STEPPED:
            raise RuntimeError("step() has been called since the last update()")
        record["stage"] = Stage.STEPPED
        if record["finite"]:
            optimizer.step()
        return record["finite"]

    def update(self):
        if all(record["finite"] for record in self._records.values()):
            self._tracker += 1
            if self._tracker == self._interval:
                self._scale, self._tracker = self._scale * self._growth, 0
        else:
            self._scale, self._tracker = self._scale * self._backoff, 0
        self._records = weakref.WeakKeyDictionary()

    def get_scale(self):
        return self._scale.item()

    def state_dict(self):
        return {"scale": self._scale, "growth_tracker": self._tracker}

    def load_state_dict(self, state):
        self._scale, self._tracker = state["scale"], state["growth_tracker"]
