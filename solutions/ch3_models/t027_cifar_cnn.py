"""027 · CIFAR-10 的 CNN：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CifarCNN(nn.Module):
    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(64 * 8 * 8, 128)
        self.fc2 = nn.Linear(128, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, 3, 32, 32) -> logits (N, num_classes)。"""
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.flatten(1)  # 從第 1 維攤平，batch 留著
        return self.fc2(F.relu(self.fc1(x)))  # logits：softmax 留給損失函數
