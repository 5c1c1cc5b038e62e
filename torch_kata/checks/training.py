"""Training for the checks that a model learns."""

from __future__ import annotations

from collections.abc import Iterable

from torch_kata.lazy import torch


class Adam:
    """Adam (Kingma and Ba, 2015) by its formulas; torch.optim would import torch's compiler first, two seconds."""

    def __init__(
        self, parameters: Iterable[torch.Tensor], lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> None:
        self.lr, self.betas, self.steps = lr, betas, 0
        self.moments = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters if p.requires_grad]

    def step(self, loss: torch.Tensor) -> None:
        """One step down the gradient of `loss`; a parameter without a gradient stays where it is."""
        for p, _, _ in self.moments:
            p.grad = None
        loss.backward()
        self.steps += 1
        first, second = (1 - beta**self.steps for beta in self.betas)
        with torch.no_grad():
            for p, m, v in self.moments:
                if p.grad is not None:
                    m.lerp_(p.grad, 1 - self.betas[0])
                    v.mul_(self.betas[1]).addcmul_(p.grad, p.grad, value=1 - self.betas[1])
                    p.addcdiv_(m, (v / second).sqrt_().add_(1e-8), value=-self.lr / first)
