"""071 · another style: the scale is a tensor, the optimizers stand in lists, gradients are divided."""

import torch


class LossScaler:
    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        self._scale = torch.tensor(float(init_scale), dtype=torch.float32)
        self.growth_factor = growth_factor
        self.backoff_factor = backoff_factor
        self.growth_interval = growth_interval
        self.streak = 0
        self.done = []
        self.overflowed = []

    def scale(self, loss):
        return self._scale.to(loss.device) * loss

    def unscale_(self, optimizer):
        if any(optimizer is each for each in self.done):
            raise RuntimeError("unscale_ was called before")
        self.done.append(optimizer)
        bad = False
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                bad = bad or not torch.isfinite(parameter.grad).all().item()
                parameter.grad.div_(self._scale.to(parameter.grad.device))
        if bad:
            self.overflowed.append(optimizer)

    def step(self, optimizer):
        if not any(optimizer is each for each in self.done):
            self.unscale_(optimizer)
        if any(optimizer is each for each in self.overflowed):
            return False
        optimizer.step()
        return True

    def update(self):
        self.streak = 0 if self.overflowed else self.streak + 1
        if self.overflowed:
            self._scale = self._scale * self.backoff_factor
        elif self.streak % self.growth_interval == 0:
            self._scale = self._scale * self.growth_factor
        self.done, self.overflowed = [], []

    def get_scale(self):
        return self._scale.item()

    def state_dict(self):
        return {"scale": self._scale.clone(), "streak": self.streak}

    def load_state_dict(self, state):
        self._scale = state["scale"].clone()
        self.streak = state["streak"]
