"""032：ReLU 是子模組，結果就地加到 fc2 的輸出上。"""

from torch import nn


class SkipNet(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super().__init__()
        self.relu = nn.ReLU()
        self.fc3 = nn.Linear(hidden_size, output_size)
        self.fc2 = nn.Linear(hidden_size, hidden_size)
        self.fc1 = nn.Linear(input_size, hidden_size)

    def forward(self, x):
        identity = self.fc1(x)
        out = self.relu(identity)
        out = self.fc2(out)
        out += identity
        return self.fc3(out)
