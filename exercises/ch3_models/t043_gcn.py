"""043 · 圖神經網路（GNN）來進行節點分類

題目
    圖卷積（GCN；Kipf、Welling，2017）讓每個節點彙整鄰居與自己的特徵：

        y = D^(−1/2) Â D^(−1/2) X W + b

    Â 的第 v 列第 u 行是「由 u 到 v 的邊」的條數：同一條邊出現幾次就算幾次。對角線則一律是 1，
    不論 edge_index 裡有沒有自環、有幾個。D 是對角矩陣，D_vv 是 Â 第 v 列的和，也就是進入 v 的邊數
    （自環以外）加 1。逐個節點寫出來：

        y_v = Σ_u Â_vu / √(d_u d_v) · (x_u W) + b

    論文的圖是無向的，這裡是有向的：訊息沿著邊由 row 0 到 row 1，兩端的 d 都是進入的邊數。許多文章不管原來
    有沒有自環，每個節點再加一個，已有自環的節點就算成了兩次；也有人寫成 D^(−1) Â（列正規化），那是平均，不是 GCN。

    圖通常很稀疏：五千個節點、五萬條邊，N × N 的矩陣有兩千五百萬格，其中 99.8% 是 0。不要造出它。

介面
    GCNConv(in_features, out_features)
        參數 weight（in_features, out_features）、bias（out_features），初值自選（要學得會，例如 Glorot 與 0）。
    GCNConv.forward(x, edge_index)
        x 為 (N, in_features)；edge_index 為 (2, E) 的 int64，第一列是邊的起點，第二列是終點，E 可以是 0。
        節點數是 N，不是 edge_index 裡的最大值加 1：沒有邊的節點也要有輸出。
    GCN(in_features, hidden, num_classes)
        conv1、conv2 是兩層 GCNConv，中間是 ReLU，沒有 dropout，訓練與推論時相同。
    GCN.forward(x, edge_index)
        -> 每個節點各類別的 log 機率 (N, num_classes)。

評分
    形狀  state_dict 的鍵與形狀；輸出的形狀與 dtype（float32、float64）
    數值  GCNConv 與 torch_geometric 2.8 的 GCNConv 相同：有向圖、孤立節點、重複的邊、自環
          （float64，全程以 x 的精度計算）；隨機的圖（float32）；GCN 在訓練與推論時都符合上述，logits 相差數百時仍正確
    梯度  GCNConv 對 x、weight、bias 的 gradcheck；GCN 的輸入與每個參數的梯度
    行為  節點只受自己與「有邊進來」的鄰居影響；節點與邊換個編號、順序，結果跟著換而已；不改動輸入；
          空手道俱樂部：特徵是單位矩陣、只給成員 0、1、32、33 的標籤，GCN(34, 16, 2) 以 Adam（lr 1e-2）
          訓練 200 步，其餘 30 人至少 26 人分對（85%）
    速度  五千個節點、五萬條邊的前向與反向，不超過參考解的 5 倍，也不逐邊、逐節點迴圈
    禁用  torch_geometric；節點遠多於特徵與邊的圖上，forward 裡任何一個稠密張量的元素都要少於 N²（稀疏張量可以）

範例
    >>> conv = GCNConv(1, 1)
    >>> _ = conv.load_state_dict({"weight": torch.ones(1, 1), "bias": torch.zeros(1)})
    >>> x = torch.tensor([[4.0], [6.0]])
    >>> conv(x, torch.tensor([[0, 0, 0], [1, 1, 1]])).tolist()     # d = (1, 4)：3·4/√(1·4) + 6/4
    [[4.0], [7.5]]

面試追問
    1. GCN 疊到很多層之後，為什麼各節點的輸出會越來越像（over-smoothing）？
    2. GraphSAGE、GAT 與 GCN 各怎麼彙整鄰居？圖大到放不進 GPU 時怎麼訓練？
    3. 為什麼是 D^(−1/2) Â D^(−1/2)，而不是 D^(−1) Â？兩者的特徵值有什麼關係？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GCNConv(nn.Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 043")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """x (N, in_features)、edge_index (2, E) -> (N, out_features)。"""
        raise NotImplementedError("TODO 043")


class GCN(nn.Module):
    def __init__(self, in_features: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 043")

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """x (N, in_features)、edge_index (2, E) -> log 機率 (N, num_classes)。"""
        raise NotImplementedError("TODO 043")
