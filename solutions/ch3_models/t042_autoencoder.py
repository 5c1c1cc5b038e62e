"""042 · 自編碼器：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Autoencoder(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU())
        self.decoder = nn.Sequential(nn.Linear(hidden_dim, input_dim), nn.Sigmoid())

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, input_dim) -> encoded (B, hidden_dim)、decoded (B, input_dim)。"""
        encoded = self.encoder(x)
        return encoded, self.decoder(encoded)


def train_autoencoder(
    model: nn.Module, data: Tensor, *, epochs: int, lr: float, batch_size: int, seed: int = 0
) -> list[float]:
    """data (N, input_dim) -> 每個 epoch 的平均 MSE，各 batch 取更新之前的。"""
    generator = torch.Generator().manual_seed(seed)  # 自己的亂數來源：可重現，也不動用全域的
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for _ in range(epochs):
        total = 0.0
        order = torch.randperm(len(data), generator=generator)
        for rows in order.to(data.device).split(batch_size):
            batch = data[rows]
            _, decoded = model(batch)
            loss = F.mse_loss(decoded, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)  # 最後一個 batch 較小，所以要加權
        losses.append(total / len(data))
    return losses
