"""043 · 圖卷積網路（GCN）：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GCNConv(nn.Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """x (N, in_features)、edge_index (2, E) -> (N, out_features)。"""
        # 圖裡原有的自環先拿掉：對角線一律是 1，由下面的 h 自己補上。
        source, target = edge_index[:, edge_index[0] != edge_index[1]]
        degree = target.bincount(minlength=len(x)) + 1  # minlength：編號最大的節點可能沒有邊
        scale = degree.to(x.dtype).rsqrt().unsqueeze(1)
        # 1/√(d_u d_v) 拆成兩個乘在節點上的因子：不必替每條邊各算一次。
        h = (x @ self.weight) * scale
        return h.index_add(0, target, h[source]) * scale + self.bias


class GCN(nn.Module):
    def __init__(self, in_features: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.conv1 = GCNConv(in_features, hidden)
        self.conv2 = GCNConv(hidden, num_classes)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """x (N, in_features)、edge_index (2, E) -> log 機率 (N, num_classes)。"""
        h = F.relu(self.conv1(x, edge_index))
        return F.log_softmax(self.conv2(h, edge_index), dim=1)
