"""034 · 生成對抗網絡：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Generator(nn.Module):
    def __init__(self, noise_dim: int, output_dim: int) -> None:
        super().__init__()
        self.noise_dim = noise_dim
        self.layers = nn.Sequential(nn.Linear(noise_dim, 128), nn.ReLU(), nn.Linear(128, output_dim), nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        """z (B, noise_dim) -> (B, output_dim)，在 −1 與 1 之間。"""
        return self.layers(z)


class Discriminator(nn.Module):
    def __init__(self, input_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(input_dim, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, input_dim) -> logits (B, 1)。"""
        return self.layers(x)


def gan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    *,
    rng: torch.Generator | None = None,
) -> tuple[float, float]:
    """real (B, D)：D 走一步，G 再走一步 -> (d_loss, g_loss)，各是更新之前的。"""
    bce = F.binary_cross_entropy_with_logits
    ones = real.new_ones(len(real), 1)
    z = torch.randn(len(real), generator.noise_dim, generator=rng, dtype=real.dtype, device=real.device)
    fake = generator(z)

    # detach：d_loss 的梯度只到 D，G 的計算圖留給下一步用。
    d_loss = bce(discriminator(real), ones) + bce(discriminator(fake.detach()), torch.zeros_like(ones))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()

    g_loss = bce(discriminator(fake), ones)  # 已更新的 D；梯度也會累積到 D 上，下次由 d_optimizer.zero_grad 清掉
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()
