"""043：以稀疏矩陣（COO）乘法彙整，先彙整再乘 W。"""

import torch
from torch import nn


class GCNConv(nn.Module):
    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(in_features, out_features) * (2 / (in_features + out_features)) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(out_features))

    @staticmethod
    def propagation(edge_index, n, x):
        loop = torch.arange(n, device=x.device).repeat(2, 1)
        others = edge_index.T[edge_index[0].ne(edge_index[1])].T
        row, column = torch.cat((loop, others), dim=1).flip(0)
        degree = x.new_zeros(n).index_put((row,), x.new_ones(()), accumulate=True)
        values = (degree[row] * degree[column]).rsqrt()
        return torch.sparse_coo_tensor(torch.stack((row, column)), values, (n, n))

    def forward(self, x, edge_index):
        return torch.addmm(self.bias, torch.sparse.mm(self.propagation(edge_index, len(x), x), x), self.weight)


class GCN(nn.Module):
    def __init__(self, in_features: int, hidden: int, num_classes: int):
        super().__init__()
        self.conv1, self.conv2 = GCNConv(in_features, hidden), GCNConv(hidden, num_classes)
        self.relu, self.log_softmax = nn.ReLU(), nn.LogSoftmax(dim=-1)

    def forward(self, x, edge_index):
        return self.log_softmax(self.conv2(self.relu(self.conv1(x, edge_index)), edge_index))
