"""026 · another style: modules for the activations, nn.BCELoss on flat vectors."""

import torch
import torch.nn as nn


class BinaryClassifier(nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super(BinaryClassifier, self).__init__()  # noqa: UP008
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(hidden_size, 1)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.fc1(x))
        return self.sigmoid(self.fc2(x))


def train_step(model, optimizer, x, y) -> float:
    optimizer.zero_grad()
    outputs = model(x).view(-1)
    loss = nn.BCELoss()(outputs, y.view(-1).float())
    loss.backward()
    optimizer.step()
    return loss.detach().cpu().item()
