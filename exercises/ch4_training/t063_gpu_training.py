"""063 · 使用 GPU 來加速模型的訓練

題目
    寫一個在哪裡都能跑的訓練函式：有 GPU 就用，沒有就用 CPU，程式裡沒有寫死的 "cuda"。要快，重點有兩個：

        搬移    模型搬一次，每個 batch 各搬一次，都到同一個裝置。nn.Module.to 就地搬、optimizer 在那之後才建立；
                張量的 to 不是就地的，x.to(device) 沒有接住等於沒搬
        同步    GPU 的運算是排隊的，CPU 不必等。loss.item() 要把值讀回來，CPU 就得等到 GPU 全部做完：
                每一步都 item() 的訓練循環到處可見，GPU 因此常常閒著。把損失累加在裝置上，一個 epoch 讀一次

介面
    train(model, dataset, *, device=None, epochs, batch_size, lr, seed=0) -> list[float]
        model      分類器，model(x) 是 (B, 類別數) 的 logits，參數是 float32；模式由呼叫者設好。
                   直接訓練這個 model，結束後留在 device 上
        dataset    dataset[i] 是 (x, label)，在 CPU 上；label 是 int 或純量張量。不一定是 TensorDataset
        device     字串或 torch.device；None 是這台機器上最好的：有加速器（CUDA、MPS 等）就用它，否則 CPU。
                   指名的裝置不能用時拋出 RuntimeError，不可默默改用 CPU
        每個 epoch 走過全部的樣本一次，每個 batch 以 cross entropy 的平均更新一步，沒有 momentum 的 SGD；
        最後一個 batch 可能較小，不丟掉。batch 的順序就是以 seed 設好的 CPU generator 交給 DataLoader 的順序：
            DataLoader(dataset, batch_size=batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed))
        整個訓練用同一個 generator，所以每個 epoch 的順序不同，在哪個裝置上都一樣。
        傳回每個 epoch 的損失，Python float：訓練當下（每次更新之前）每個樣本的 cross entropy 的平均。

評分
    形狀  傳回 epochs 個 float
    數值  每個 epoch 的損失，與訓練後的權重，都等於逐步推算的（CPU 上相對誤差 1e-4，CUDA 上 1e-3）
    行為  順序由 seed 決定，與全域亂數無關，也不重設全域亂數的種子；seed 預設為 0；
          訓練模式的 model 訓練時仍在訓練模式；device 是字串、torch.device 或 None；
          任何 dataset 都可以；指名的裝置不能用：RuntimeError；
          把模型算出的浮點數讀回 CPU（item、tolist、numpy、cpu、to("cpu")、float()、bool()、印出來等），
          平均每個 epoch 至多一次；
          模型與每個 batch 都搬到 device：沒有 GPU 也看得出來，以 device="meta"（只有形狀，沒有數值）執行，
          看 forward 與 cross entropy 時它們（label 也是）在哪裡；meta 的值讀不回來，那時拋出的例外不算錯
    CUDA  模型與 batch 都在裝置上；以矩陣乘法為主的模型，至少比 CPU 快 5 倍

範例
    >>> x = torch.randn(64, 2)
    >>> dataset = TensorDataset(x, (x[:, 0] > 0).long())
    >>> losses = train(nn.Linear(2, 2), dataset, epochs=5, batch_size=16, lr=1.0)
    >>> len(losses), losses[-1] < losses[0]
    (5, True)

面試追問
    1. pin_memory 與 non_blocking=True 為什麼要一起用？哪一段的時間因此重疊了？
    2. GPU 使用率只有 30%，怎麼找出瓶頸在資料、在同步，還是在太小的 kernel？
    3. 計時 GPU 的程式為什麼要 torch.cuda.synchronize()？沒有它量到的是什麼？
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset


def train(
    model: nn.Module,
    dataset: Dataset,
    *,
    device: torch.device | str | None = None,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int = 0,
) -> list[float]:
    """在 device 上訓練 model，傳回每個 epoch 的損失。"""
    raise NotImplementedError("TODO 063")
