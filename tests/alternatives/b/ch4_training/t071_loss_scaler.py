"""071 · another style: torch's own fused kernels do the work, as in GradScaler."""

import torch


class LossScaler:
    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ):
        self.settings = growth_factor, backoff_factor, growth_interval
        self.state = {"scale": float(init_scale), "tracker": 0}
        self.found: dict[torch.optim.Optimizer, torch.Tensor] = {}

    def get_scale(self):
        return self.state["scale"]

    def scale(self, loss):
        return loss.mul(self.state["scale"])

    def unscale_(self, optimizer):
        if optimizer in self.found:
            raise RuntimeError("already unscaled")
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        device = grads[0].device if grads else "cpu"
        found = torch.zeros((), device=device)
        if grads:
            inverse = torch.tensor(1.0 / self.state["scale"], device=device)
            torch._amp_foreach_non_finite_check_and_unscale_(grads, found, inverse)
        self.found[optimizer] = found

    def step(self, optimizer):
        if optimizer not in self.found:
            self.unscale_(optimizer)
        skipped = self.found[optimizer].item() > 0
        if not skipped:
            optimizer.step()
        return not skipped

    def update(self):
        growth, backoff, interval = self.settings
        scale = torch.tensor(self.state["scale"])
        tracker = torch.tensor(self.state["tracker"], dtype=torch.int32)
        found = sum(found.cpu() for found in self.found.values())
        torch._amp_update_scale_(scale, tracker, found, growth, backoff, interval)
        self.state = {"scale": scale.item(), "tracker": int(tracker)}
        self.found = {}

    def state_dict(self):
        return dict(self.state)

    def load_state_dict(self, state):
        self.state = dict(state)
