"""066 · 在多 GPU 上進行模型的分佈式訓練

題目
    不用 DistributedDataParallel，自己寫資料平行的三個零件。每個 rank（行程）有一份模型，每一步：

        各 rank 用 shard_indices 分到的那一份資料算 loss（平均）並 backward
        average_gradients 把梯度換成所有 rank 的平均
        各 rank 各自更新，所以模型一直相同，等於單一行程用所有 rank 的資料訓練

    開始之前先 broadcast_parameters，讓每個 rank 從同樣的參數與 buffer 出發。

    兩個容易出事的地方：
        collective（all_reduce、broadcast 等）要所有 rank 依同樣的順序呼叫，大小也要相同；有一個 rank 少呼叫一次，
        其他的就卡住或中斷。某個 rank 的某個參數這一步沒用到時 grad 是 None，那個 rank 不能就這樣跳過它。
        每次 collective 都有固定的延遲：50 個參數各做一次很慢。先把梯度接成一條，一次做完再拆回去。

介面
    shard_indices(length, rank, world_size) -> list[int]
        同 torch.utils.data.DistributedSampler(shuffle=False)：樣本編號 0 … length − 1 補到 world_size 的倍數
        （從頭再來，補到夠為止），第 rank 個 rank 拿 rank、rank + world_size、rank + 2 · world_size … 那幾個位置。
        每個 rank 的個數因此相同；length ≥ 1，可以比 world_size 小。
    broadcast_parameters(model, src=0) -> None
        每個 rank 的參數與 buffer 都變成第 src 個 rank 的值；參數仍是原來的物件，優化器才更新得到。
    average_gradients(model) -> None
        每個參數的 .grad 換成預設 process group 所有 rank 的平均，每個 rank 都有。某個 rank 的 .grad 是 None 時當作 0；
        所有 rank 都是 None 的參數，之後可以是 None 或 0。
        參數可以有好幾種 dtype；collective 的次數最多是 dtype 的種類數 + 2，與參數的個數無關。
    只有一個行程時（沒有 init_process_group，或 world_size 是 1），後兩個函式什麼也不做。

評分
    數值  三個 rank 各拿一份資料訓練數步，參數等於單一行程用合起來的 batch 訓練；
          平均的梯度（float32 與 float64，0 維的參數）在每個 rank 都對；
          broadcast 之後每個 rank 的參數與 buffer 都是 src 的；shard_indices 與 DistributedSampler 相同
    行為  某個 rank 的某個參數沒有梯度時不卡住、不中斷，當作 0；
          50 個參數、兩種 dtype 時 average_gradients 最多 4 次 collective；只有一個行程時什麼也不做
          （以上都在真正的行程裡以 gloo 執行；用 --device cuda 評分時也試 nccl，每個裝置一個 rank）
    禁用  DistributedDataParallel、DataParallel

範例
    >>> [shard_indices(7, rank, 3) for rank in range(3)]
    [[0, 3, 6], [1, 4, 0], [2, 5, 1]]
    >>> layer = nn.Linear(2, 1)
    >>> layer(torch.ones(3, 2)).sum().backward()
    >>> average_gradients(layer)  # 只有一個行程
    >>> layer.weight.grad
    tensor([[3., 3.]])

面試追問
    1. ring all-reduce 每個 rank 要傳多少資料？與 rank 的個數有什麼關係？
    2. DDP 為什麼把梯度分成好幾個 bucket，而不是接成一條？find_unused_parameters 又在解決什麼？
    3. 各 rank 的 batch 大小不同時，平均值的平均錯在哪裡？怎麼加權？
"""

import math
from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn


def shard_indices(length: int, rank: int, world_size: int) -> list[int]:
    """第 rank 個 rank 負責的樣本編號；每個 rank 一樣多。"""
    raise NotImplementedError("TODO 066")


def broadcast_parameters(model: nn.Module, src: int = 0) -> None:
    """把第 src 個 rank 的參數與 buffer 送給所有 rank。"""
    raise NotImplementedError("TODO 066")


def average_gradients(model: nn.Module) -> None:
    """把每個參數的 .grad 換成所有 rank 的平均。"""
    raise NotImplementedError("TODO 066")
