"""042: a DataLoader over a TensorDataset, nn.MSELoss, a list of batch losses."""

import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset


class Autoencoder(nn.Module):
    def __init__(self, input_dim, hidden_dim):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU(inplace=True))
        self.decoder = nn.Sequential(nn.Linear(hidden_dim, input_dim), nn.Sigmoid())

    def forward(self, x):
        code = self.encoder(x)
        return code, self.decoder(code)


def train_autoencoder(model, data, *, epochs, lr, batch_size, seed=0):
    g = torch.Generator()
    g.manual_seed(seed)
    loader = DataLoader(TensorDataset(data), batch_size=batch_size, shuffle=True, generator=g)
    criterion, adam = nn.MSELoss(), optim.Adam(model.parameters(), lr)
    model.train()
    history = []
    for _ in range(epochs):
        values, sizes = [], []
        for (x,) in loader:
            adam.zero_grad()
            loss = criterion(model(x)[1], x)
            loss.backward()
            adam.step()
            values.append(loss.item())
            sizes.append(x.size(0))
        history.append(sum(v * s for v, s in zip(values, sizes, strict=True)) / sum(sizes))
    return history
