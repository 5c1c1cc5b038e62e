"""043：邊依終點排好，用 segment_reduce 彙整；度數由排好的位置得出。"""

import torch
from torch import nn
from torch.nn.functional import log_softmax


class GCNConv(nn.Module):
    def __init__(self, in_features: int, out_features: int):
        super().__init__()
        self.weight = nn.Parameter(nn.init.kaiming_uniform_(torch.zeros(in_features, out_features)))
        self.bias = nn.Parameter(torch.zeros(out_features))

    def forward(self, x, edge_index):
        n = x.shape[0]
        u, v = edge_index.clone()
        other = u != v
        nodes = torch.arange(n, device=x.device)
        u, v = torch.cat([u[other], nodes]), torch.cat([v[other], nodes])
        v, order = torch.sort(v)
        u = u[order]
        ends = torch.searchsorted(v, nodes, right=True)
        degree = ends.diff(prepend=ends.new_zeros(1))
        norm = 1 / torch.sqrt(degree.to(x.dtype))
        messages = (x @ self.weight)[u] * (norm[u] * norm[v])[:, None]
        return torch.segment_reduce(messages, "sum", lengths=degree, axis=0) + self.bias


class GCN(nn.Module):
    def __init__(self, in_features: int, hidden: int, num_classes: int):
        super().__init__()
        self.conv1 = GCNConv(in_features, hidden)
        self.conv2 = GCNConv(hidden, num_classes)

    def forward(self, x, edge_index):
        return log_softmax(self.conv2(torch.relu(self.conv1(x, edge_index)), edge_index), dim=-1)
