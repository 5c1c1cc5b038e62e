"""044: reparameterised by hand, the closed form of the KL from the scale, BCE from clamped probabilities."""

import torch
import torch.distributions as dist
from torch import nn


class VAE(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim), nn.ReLU(True), nn.Linear(hidden_dim, input_dim), nn.Sigmoid()
        )
        self.logvar = nn.Linear(hidden_dim, latent_dim)
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.encoder = nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU(True))

    def encode(self, x):
        features = self.encoder(x)
        return dist.Normal(loc=self.mu(features), scale=self.logvar(features).mul(0.5).exp())

    def forward(self, x):
        q = self.encode(x)
        z = q.loc + q.scale * torch.randn_like(q.loc)
        return self.decoder(z), q


def elbo_loss(reconstruction, x, posterior, beta=1.0):
    p, not_p = reconstruction.clamp_min(1e-12), (1 - reconstruction).clamp_min(1e-12)
    nll = -(x * torch.log(p) + (1 - x) * torch.log(not_p)).sum(-1)
    mu, var = posterior.mean, posterior.variance
    kl = -0.5 * (1 + 2 * posterior.stddev.log() - mu.pow(2) - var).sum(-1)
    return torch.mean(nll + beta * kl)
