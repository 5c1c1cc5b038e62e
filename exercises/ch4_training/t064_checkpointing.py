"""064 · 在訓練過程中，如何保存和加載模型的權重

題目
    訓練到一半停下來，之後在一個新的行程裡接著訓練，結果要和從沒停過逐位元相同。只存模型的權重不夠：

        model         參數與 buffer
        optimizer     momentum 等狀態，以及各個 param group 目前的學習率
        scheduler     走到第幾步
        epoch         已經完成的最後一個 epoch 的編號
        亂數          dropout、洗牌與資料增強接下來會抽到什麼：torch（CPU，以及有 CUDA 時每個裝置）、random、
                      np.random 的全域狀態

    兩個實務上的要求：
        檔案用 torch.load(path, weights_only=True) 就打得開，所以裡面只能有張量與基本的 Python 型別。
        np.random.get_state() 裡的 ndarray 不在其中，要先轉換。
        寫檔是 atomic 的。直接 torch.save 到 path，寫到一半失敗（磁碟滿了、行程被 kill），舊的 checkpoint 就毀了。

    load_state_dict 丟出例外時，形狀相符的參數往往已經被改掉：失敗的載入也要讓模型保持原樣。

介面
    save_checkpoint(path, model, optimizer, *, epoch, scheduler=None) -> None
        存成 path（str 或 Path，資料夾已經存在）；已有檔案就取代它。
        寫檔失敗時讓例外傳出去（型別不限），舊檔保持不變，也不在資料夾裡留下別的檔案。
        不動任何全域亂數。
    load_checkpoint(path, model, optimizer=None, *, scheduler=None, device="cpu") -> int
        把狀態載入給了的 model、optimizer、scheduler，傳回存檔時的 epoch。給了 optimizer 才還原亂數，
        因為那表示要接著訓練；只拿模型來用時不動亂數。model 的模式由呼叫者管，不改。
        device 是 model 所在的裝置；檔案可能是在別的裝置上存的，例如存的機器有 GPU，這一台沒有。
        檔案是截斷的、空的、不是 checkpoint，或屬於別的模型、別的優化器（param group 的個數或大小不同）：
        ValueError，而 model 與 optimizer 的狀態和載入前一樣。

評分
    數值  在新的行程裡載入再接著訓練（dropout、batch norm、momentum、StepLR），每一步的 loss、
          每個 epoch 的學習率、最後的權重都和沒停過逐位元相同；傳回存檔時的 epoch；
          載入後 torch、random、np.random 接著抽出的數、scheduler 的狀態（ReduceLROnPlateau 也是）都和存檔當時一樣；
          只給 model 時只載入權重，不動模式
    行為  weights_only=True 打得開；save 不動亂數，沒給 optimizer 的 load 也不動；
          寫檔失敗（狀態存不了、空間不足）時舊檔不變、沒有別的檔案；寫到一半行程被殺，舊檔仍完好（換上新檔，不是寫進舊檔）；
          成功時資料夾裡也只有那一個檔案；
          壞檔、別的模型、別的優化器都是 ValueError，而且模型與優化器保持原樣；
          在 GPU 上存的檔案，在沒有 GPU 的機器上載得進來

範例
    >>> model = nn.Linear(3, 2)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(f"{folder}/last.pt", model, optimizer, epoch=4)
    ...     expected = torch.rand(2)
    ...     epoch = load_checkpoint(f"{folder}/last.pt", model, optimizer)
    >>> epoch, torch.equal(torch.rand(2), expected)
    (4, True)

面試追問
    1. os.replace 為什麼是 atomic 的？暫存檔為什麼要放在同一個資料夾？fsync 又多保證了什麼？
    2. DataLoader 開了多個 worker、epoch 走到一半就停，還要存什麼才接得起來？
    3. 幾百 GB 的模型分散在許多 rank 上，checkpoint 怎麼存（torch.distributed.checkpoint）？怎麼不擋住訓練？
"""

import copy
import os
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    epoch: int,
    scheduler: LRScheduler | None = None,
) -> None:
    """把接續訓練所需的一切存成 path；失敗時舊檔不變。"""
    raise NotImplementedError("TODO 064")


def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    *,
    scheduler: LRScheduler | None = None,
    device: str | torch.device = "cpu",
) -> int:
    """載入 path，傳回存檔時的 epoch；檔案不對時拋出 ValueError，什麼也不改。"""
    raise NotImplementedError("TODO 064")
