"""060 · 使用 DistributedDataParallel 加速模型訓練

題目
    資料平行：world_size 個行程（rank）各有一份相同的模型，每一步各拿 batch 的一份算梯度，DDP 在
    backward 時把梯度平均，所以每個 rank 更新後仍然相同，結果等於單一行程用整個 batch 訓練。

    寫 train_ddp：開出這些行程、訓練、把結果帶回呼叫者。細節如下，結果因此是唯一的：

        損失    MSE（所有元素的平均）；優化器是 SGD，學習率 lr，沒有 momentum
        初始化  每個 rank 先 torch.manual_seed(seed)，再呼叫 make_model()
        順序    torch.utils.data.DistributedSampler(dataset, seed=seed) 給的順序；每個 epoch
                （從 0 起算）都要 set_epoch，否則每個 epoch 的順序都一樣
        batch   batch_size 是所有 rank 合計的筆數，每個 rank 每步 batch_size // world_size 筆；
                最後不滿的一批也要用

    網路上的範例常把 MASTER_PORT 寫死成 12355 或 29500：同一台機器上跑兩份訓練就會相撞。

介面
    train_ddp(make_model, dataset, *, world_size=2, epochs, batch_size, lr, seed=0, backend="gloo")
        make_model()   傳回一個 float32 的模型（沒有 batch norm）；dataset[i] 傳回 (x, y) 兩個 CPU tensor。
                       兩者都可以 pickle。
        batch_size     保證是 world_size 的倍數。
        backend        "gloo" 在 CPU 上訓練；"nccl" 時第 r 個 rank 的模型與資料在 cuda:r。
        傳回 state_dict：包含 buffer，tensor 都在 CPU，鍵與 make_model() 的相同（沒有 "module."）。
    在子行程執行的函式必須放在檔案的最外層：spawn 出來的行程是匯入這個檔案才找得到它的。

評分
    形狀  state_dict 的鍵；值是 CPU 上的 float32 tensor
    數值  等於單一行程以整個 batch 訓練的結果（誤差 1e-6）；各 rank 的權重在每一步都一模一樣；
          dataset 的長度不能被 world_size 整除時，照 DistributedSampler 補齊
    行為  真的有 world_size 個行程；每個 rank 的 forward 都經過 DistributedDataParallel；
          world_size 整除長度時，每個 epoch 每筆資料恰好一次；順序同 DistributedSampler；
          batch_size 是合計；
          某個 rank 拋出例外時，呼叫者在那之後 30 秒內得到一個例外，訊息含有那個 rank 的例外訊息；
          rank 突然死去（例如 os._exit(137)）時，訊息含有它的 exit code；都不留下任何行程
          （multiprocessing 的 resource tracker 除外）；
          兩個執行緒同時呼叫 train_ddp 互不干擾；呼叫者的環境變數不變
          用 --device cuda 評分時也試 backend="nccl"，每個裝置一個 rank，結果相同

範例
    >>> from functools import partial
    >>> dataset = TensorDataset(torch.randn(8, 3), torch.randn(8, 1))
    >>> sorted(train_ddp(partial(nn.Linear, 3, 1), dataset, epochs=1, batch_size=4, lr=0.1))
    ['bias', 'weight']

面試追問
    1. DDP 怎麼讓梯度的 all-reduce 與 backward 重疊？bucket 的作用是什麼？
    2. 各 rank 的 batch 大小不同時，平均值的平均還等於整體的平均嗎？該怎麼修正？
    3. 為什麼 batch norm 在 DDP 下與單一行程不同？SyncBatchNorm 做了什麼？
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler, TensorDataset


def train_ddp(
    make_model: Callable[[], nn.Module],
    dataset: Dataset,
    *,
    world_size: int = 2,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int = 0,
    backend: str = "gloo",
) -> dict[str, Tensor]:
    """開 world_size 個行程訓練，傳回訓練後的 state_dict（CPU）。"""
    raise NotImplementedError("TODO 060")
