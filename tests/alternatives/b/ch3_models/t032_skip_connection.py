"""032：先複製再就地 ReLU；殘差加回 h 本身。"""

import torch.nn.functional as F
from torch import nn


class SkipNet(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        sizes = [(input_size, hidden_size), (hidden_size, hidden_size), (hidden_size, output_size)]
        for i, (n_in, n_out) in enumerate(sizes, start=1):
            self.add_module(f"fc{i}", nn.Linear(n_in, n_out))

    def forward(self, x):
        h = self.fc1(x)
        h += self.fc2(F.relu(h.clone(), inplace=True))
        return F.linear(h, self.fc3.weight, self.fc3.bias)
