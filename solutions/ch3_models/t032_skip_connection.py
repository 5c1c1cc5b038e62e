"""032 · 跳躍連接：參考解"""

import torch
from torch import Tensor, nn


class SkipNet(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.fc2 = nn.Linear(hidden_size, hidden_size)
        self.fc3 = nn.Linear(hidden_size, output_size)

    def forward(self, x: Tensor) -> Tensor:
        """x (*, input_size) -> (*, output_size)。"""
        h = self.fc1(x)
        # relu 不能就地：h 等一下還要原樣加回來。
        return self.fc3(self.fc2(torch.relu(h)) + h)
