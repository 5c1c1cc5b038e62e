"""026 · 二分類的全連接網路：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BinaryClassifier(nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(input_size, hidden_size)
        self.fc2 = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, input_size) -> y = 1 的機率 (N, 1)。"""
        return torch.sigmoid(self.fc2(F.relu(self.fc1(x))))


def train_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> float:
    """訓練一步，回傳更新前的平均 BCE；y 為 (N,) 或 (N, 1)。"""
    p = model(x)
    loss = F.binary_cross_entropy(p, y.to(p.dtype).reshape(p.shape))  # 形狀要先對齊，否則會廣播
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
