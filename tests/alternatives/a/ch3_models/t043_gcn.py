"""043：照式子逐邊算權重（像 torch_geometric），自環補成真的邊，再 scatter_add。"""

import math

import torch
from torch import nn


def normalised(edge_index, n, dtype):
    keep = edge_index[0] != edge_index[1]
    nodes = torch.arange(n, device=edge_index.device)
    edges = torch.cat([edge_index[:, keep], torch.stack([nodes, nodes])], dim=1)
    ones = torch.ones(edges.size(1), dtype=dtype, device=edges.device)
    degree = torch.zeros(n, dtype=dtype, device=edges.device).scatter_add_(0, edges[1], ones)
    factor = degree.pow(-0.5)
    return edges, factor[edges[0]] * ones * factor[edges[1]]


class GCNConv(nn.Module):
    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        bound = 1 / math.sqrt(in_features)
        self.weight = nn.Parameter(torch.empty(in_features, out_features).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x, edge_index):
        edges, weights = normalised(edge_index, x.size(0), x.dtype)
        messages = weights.view(-1, 1) * torch.matmul(x, self.weight).index_select(0, edges[0])
        where = edges[1].view(-1, 1).expand_as(messages)
        out = torch.zeros(x.size(0), messages.size(1), dtype=x.dtype, device=x.device)
        return out.scatter_add(0, where, messages) + self.bias


class GCN(nn.Module):
    def __init__(self, in_features: int, hidden: int, num_classes: int):
        super().__init__()
        self.conv1 = GCNConv(in_features, hidden)
        self.conv2 = GCNConv(hidden, num_classes)

    def forward(self, x, edge_index):
        x = self.conv1(x, edge_index).clamp(min=0)
        x = self.conv2(x, edge_index)
        return x - x.logsumexp(1, keepdim=True)
