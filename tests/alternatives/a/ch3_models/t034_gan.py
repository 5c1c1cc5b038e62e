"""034: real and fake judged in one batch, softplus, two noises, gradients by torch.autograd.grad."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Generator(nn.Module):
    def __init__(self, noise_dim, output_dim):
        super().__init__()
        self.noise_dim = noise_dim
        self.fc1 = nn.Linear(noise_dim, 64)
        self.norm = nn.LayerNorm(64)
        self.fc2 = nn.Linear(64, 96)
        self.fc3 = nn.Linear(96, output_dim)

    def forward(self, z):
        h = F.silu(self.norm(self.fc1(z)))
        return self.fc3(F.gelu(self.fc2(h))).tanh()


class Discriminator(nn.Module):
    def __init__(self, input_dim):
        super().__init__()
        self.body = nn.Sequential(
            nn.utils.parametrizations.spectral_norm(nn.Linear(input_dim, 32)), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(self, x):
        return self.body(x)


def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, *, rng=None):
    def noise():
        z = torch.empty(real.size(0), generator.noise_dim, dtype=real.dtype, device=real.device)
        return z.normal_(generator=rng)

    def update(loss, network, optimizer):
        params = list(network.parameters())
        for p, g in zip(params, torch.autograd.grad(loss, params), strict=True):
            p.grad = g
        optimizer.step()

    with torch.no_grad():
        fake = generator(noise())
    on_real, on_fake = discriminator(torch.cat([real, fake])).chunk(2)
    d_loss = F.softplus(-on_real).mean() + F.softplus(on_fake).mean()
    update(d_loss, discriminator, d_optimizer)
    g_loss = -F.logsigmoid(discriminator(generator(noise()))).mean()
    update(g_loss, generator, g_optimizer)
    return float(d_loss), float(g_loss)
