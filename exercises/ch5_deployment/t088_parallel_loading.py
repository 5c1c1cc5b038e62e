"""088 · 使用 torch.multiprocessing 來加速數據加載

題目
    讀很多檔案時，時間多半花在等磁碟或網路。開幾個行程同時讀，再把張量交回呼叫者。

    torch.multiprocessing 與標準的 multiprocessing 介面相同，差別在張量怎麼過去：送進佇列的是一個把手，數值放在
    shared memory，不會被 pickle 再複製一份。

    容易出錯的地方：
        順序      先讀完的先到，但結果要照 paths 的順序
        例外      worker 裡的例外要傳回呼叫者，並說出是哪個檔案；其他 worker 也要結束，不能留著
        spawn     Linux 上常用 fork，子行程自動有一切的全域變數；Windows 與 macOS 用 spawn，worker 是重新匯入這個檔案，
                  它執行的函式必須放在檔案的最外層，需要的東西要當參數傳過去

介面
    parallel_load(paths, load_fn, *, num_workers=2) -> list[Tensor]
        paths      str 或 Path 的 list，可以是空的
        load_fn    load_fn(path) 傳回一個 CPU 張量；可以 pickle
        傳回 [load_fn(path) for path in paths]，但每次載入都在別的行程裡，最多 num_workers 個同時進行，
        傳回的張量都在 shared memory（is_shared() 是 True）。
        行程用目前的 start method 產生（multiprocessing.set_start_method 設定的，或系統預設的）。
        某個 load_fn 拋出例外時，拋出一個例外（型別不限），訊息含有那個 path。
        返回或拋出例外之後，不留下任何行程與執行緒（multiprocessing 的 resource tracker 除外）。

評分
    數值  每個 path 的張量（值、dtype、形狀），順序同 paths，慢的在前面時也是；空的 paths
    行為  載入都在別的行程；num_workers 個同時進行，不會更多；傳回的張量在 shared memory；
          start method 是 spawn 時也行，worker 就不是 fork 出來的；
          出錯時例外的訊息說出是哪個 path；出錯時別的載入還沒完，也不留下行程；正常結束也不留下
    速度  fork 之下，每次載入都只是等待時，2 個 worker 至少比一個一個載入快 1.5 倍（不計開行程的時間）

範例
    >>> parallel_load([], torch.load)
    []
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = [Path(folder, f"{i}.pt") for i in range(3)]
    ...     for i, path in enumerate(paths):
    ...         torch.save(torch.full((2,), i), path)
    ...     tensors = parallel_load(paths, torch.load)
    >>> [tensor.tolist() for tensor in tensors], all(tensor.is_shared() for tensor in tensors)
    ([[0, 0], [1, 1], [2, 2]], True)

面試追問
    1. worker 被系統殺掉（記憶體不足）時，multiprocessing.Pool 會怎樣？ProcessPoolExecutor 呢？
    2. shared memory 的 file_descriptor 與 file_system 兩種策略差在哪裡？什麼時候會「too many open files」？
    3. 什麼時候用執行緒就夠了？什麼時候該用 DataLoader 的 worker？
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.multiprocessing as mp
from torch import Tensor


def parallel_load(
    paths: Sequence[str | Path],
    load_fn: Callable[[str | Path], Tensor],
    *,
    num_workers: int = 2,
) -> list[Tensor]:
    """[load_fn(path) for path in paths]，由 num_workers 個行程分著做。"""
    raise NotImplementedError("TODO 088")
