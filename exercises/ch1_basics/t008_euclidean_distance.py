"""008 · 計算兩個張量的歐幾里得距離

題目
    歐幾里得距離是差的平方和再開根號：

        d(a, b) = √ Σ (a_k − b_k)²

    請寫兩個函式：兩個同形 tensor 之間的距離，以及兩組點兩兩之間的距離。看似簡單，常見的寫法卻有兩個坑：

    1. √s 在 s = 0 的導數是無限大，乘上內層的 0 就成了 NaN：只要有一對點重合，整個梯度都會壞掉。
    2. 網路上常用 |x|² + |y|² − 2xᵀy 展開成矩陣乘法。兩點靠近而離原點很遠時，它是大數相減，float32 的有效位數
       全數抵消，開根號前甚至可能是負的。先減平均值也救不了分成兩群的資料。

介面
    euclidean_distance(a, b)
        兩個形狀相同、維度不限的浮點 tensor，傳回純量。形狀不同（能 broadcast 的也算）拋出 ValueError，訊息要寫出
        兩者的形狀。
    pairwise_distances(x, y)
        x (n, d)、y (m, d)，傳回 (n, m)，第 i 列第 j 行是 x[i] 與 y[j] 的距離。不是 2 維，或 d 不同（其一為 1
        也算），拋出 ValueError；d 不同時訊息要寫出兩個 d（寫出形狀也行）。
    結果的 dtype 與輸入相同。

評分
    形狀  純量；(n, m)；dtype 與輸入相同
    數值  符合定義，float32 與 float64；輸入不連續也可以
          float32 的精度：點成一群（在 +1e4 附近）或兩群（在 ±1e4 附近），同群的點相距約 0.1 時
          誤差不超過 1e-3
    梯度  gradcheck 通過；重合的點距離是 0，它們之間的梯度是 0，其餘的梯度不受影響
    行為  不改動輸入；形狀不合拋出 ValueError
    速度  (512, 64) 對 (512, 64) 的前向，不超過參考解的 9 倍（對其中一邊用迴圈也來得及，雙重迴圈不行）
    禁用  torch.cdist、torch.dist、F.pairwise_distance、nn.PairwiseDistance（由 Tensor.dist、torch.ops 呼叫也算）

範例
    >>> euclidean_distance(torch.tensor([1.0, 2.0]), torch.tensor([4.0, 6.0]))
    tensor(5.)
    >>> pairwise_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])

面試追問
    1. 直接相減要 n × m × d 的中間結果，n、m 各十萬時怎麼辦？
    2. 展開成矩陣乘法快得多，什麼資料可以放心用它？
    3. 只要找最近的點時，為什麼可以不開根號？訓練時不開根號，梯度差在哪裡？
"""

import torch
from torch import Tensor


def euclidean_distance(a: Tensor, b: Tensor) -> Tensor:
    """a (*)、b (*) 同形 -> 純量。"""
    raise NotImplementedError("TODO 008")


def pairwise_distances(x: Tensor, y: Tensor) -> Tensor:
    """x (n, d)、y (m, d) -> (n, m)。"""
    raise NotImplementedError("TODO 008")
