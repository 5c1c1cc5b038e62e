"""034: the textbook's training loop: two backward calls, the discriminator frozen while the generator steps."""

import torch
from torch import Tensor, nn


class Generator(nn.Module):
    def __init__(self, noise_dim: int, output_dim: int) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.model = nn.Sequential(
            nn.Linear(noise_dim, 256),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(256, 512),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(512, output_dim),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        return self.model(z)


class Discriminator(nn.Module):
    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(input_dim, 512),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(512, 256),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(256, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


criterion = nn.BCEWithLogitsLoss()


def gan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    *,
    rng: torch.Generator | None = None,
) -> tuple[float, float]:
    batch = real.shape[0]
    valid = torch.full((batch, 1), 1.0, dtype=real.dtype, device=real.device)
    invalid = torch.full((batch, 1), 0.0, dtype=real.dtype, device=real.device)
    z = torch.randn((batch, generator.noise_dim), generator=rng, dtype=real.dtype, device=real.device)

    discriminator.zero_grad(set_to_none=False)
    loss_real = criterion(discriminator(real), valid)
    loss_real.backward()
    loss_fake = criterion(discriminator(generator(z).detach()), invalid)
    loss_fake.backward()
    d_optimizer.step()

    discriminator.requires_grad_(False)
    generator.zero_grad(set_to_none=False)
    g_loss = criterion(discriminator(generator(z)), valid)
    g_loss.backward()
    g_optimizer.step()
    discriminator.requires_grad_(True)
    return loss_real.item() + loss_fake.item(), g_loss.item()
