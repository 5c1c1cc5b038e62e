"""044: Bernoulli and Independent from torch.distributions, sums divided by the batch at the end."""

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal, kl


class VAE(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU())
        self.mu, self.logvar = nn.Linear(hidden_dim, latent_dim), nn.Linear(hidden_dim, latent_dim)
        layers = [nn.Linear(latent_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, input_dim), nn.Sigmoid()]
        self.decoder = nn.Sequential(*layers)

    def encode(self, x: Tensor) -> Normal:
        h = self.encoder(x)
        mean, logvar = self.mu(h), self.logvar(h)
        return Normal(mean, torch.sqrt(torch.exp(logvar)))

    def forward(self, x: Tensor) -> tuple[Tensor, Normal]:
        posterior = self.encode(x)
        return self.decoder(posterior.rsample()), posterior


def elbo_loss(reconstruction: Tensor, x: Tensor, posterior: Normal, beta: float = 1.0) -> Tensor:
    p = reconstruction.clamp(1e-7, 1 - 1e-7)
    nll = -Bernoulli(probs=p, validate_args=False).log_prob(x).sum()
    prior = Normal(torch.zeros_like(posterior.loc), torch.ones_like(posterior.scale))
    divergence = kl.kl_divergence(Independent(posterior, 1), Independent(prior, 1))
    return (nll + beta * divergence.sum()) / x.shape[0]
