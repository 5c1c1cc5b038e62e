"""042: Adam by hand, one seed for each epoch, the squared errors summed as tensors and divided at the end."""

import random

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.decoder = nn.Sequential(nn.Linear(hidden_dim, input_dim), nn.Sigmoid())
        self.encoder = nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.relu(nn.functional.linear(x, self.encoder[0].weight, self.encoder[0].bias))
        return h, torch.sigmoid(nn.functional.linear(h, self.decoder[0].weight, self.decoder[0].bias))


def train_autoencoder(
    model: nn.Module, data: Tensor, *, epochs: int, lr: float, batch_size: int, seed: int = 0
) -> list[float]:
    parameters = list(model.parameters())
    first = [torch.zeros_like(p) for p in parameters]
    second = [torch.zeros_like(p) for p in parameters]
    step, losses = 0, []
    for epoch in range(epochs):
        order = list(range(len(data)))
        random.Random(f"{seed} {epoch}").shuffle(order)
        squares = data.new_zeros(())
        for start in range(0, len(data), batch_size):
            batch = data[order[start : start + batch_size]]
            errors = (model(batch)[1] - batch) ** 2
            squares += errors.detach().sum()
            step += 1
            gradients = torch.autograd.grad(errors.mean(), parameters)
            with torch.no_grad():
                for p, g, m, v in zip(parameters, gradients, first, second, strict=True):
                    m.lerp_(g, 0.1)
                    v.mul_(0.999).addcmul_(g, g, value=0.001)
                    p.sub_(lr / (1 - 0.9**step) * m / ((v / (1 - 0.999**step)).sqrt() + 1e-8))
        losses.append((squares / data.numel()).item())
    return losses
