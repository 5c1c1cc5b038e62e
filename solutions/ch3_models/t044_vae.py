"""044 · 變分自編碼器：參考解"""

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, latent_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU())
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.logvar = nn.Linear(hidden_dim, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, input_dim), nn.Sigmoid()
        )

    def encode(self, x: Tensor) -> Normal:
        """x (B, input_dim) -> q(z|x)，loc 與 scale 是 (B, latent_dim)。"""
        h = self.encoder(x)
        return Normal(self.mu(h), torch.exp(self.logvar(h) / 2))  # Normal 要標準差，不是變異數

    def forward(self, x: Tensor) -> tuple[Tensor, Normal]:
        """x (B, input_dim) -> reconstruction (B, input_dim)、q(z|x)。"""
        posterior = self.encode(x)
        z = posterior.rsample()  # reparameterisation：梯度經過 mu + σ · ε 回到 encoder
        return self.decoder(z), posterior


def elbo_loss(reconstruction: Tensor, x: Tensor, posterior: Normal, beta: float = 1.0) -> Tensor:
    """reconstruction、x (B, input_dim)，posterior (B, latent_dim) -> BCE + beta · KL 對 batch 的平均。"""
    bce = F.binary_cross_entropy(reconstruction, x, reduction="none").sum(1)  # log 截在 −100：飽和時也有限
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    return (bce + beta * kl).mean()
