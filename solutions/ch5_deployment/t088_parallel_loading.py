"""088 · 用 torch.multiprocessing 載入資料：參考解"""

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
    tensors: list[Tensor] = [torch.empty(0)] * len(paths)
    with mp.Pool(num_workers) as pool:  # 離開 with 時 terminate，出錯也不留下行程
        # imap_unordered：誰先好誰先到，所以出錯時不必等別人；編號跟著走，順序才不會亂。
        for index, tensor in pool.imap_unordered(partial(_load, load_fn), enumerate(paths)):
            tensors[index] = tensor
    pool.join()
    return tensors


def _load(load_fn: Callable[[str | Path], Tensor], numbered: tuple[int, str | Path]) -> tuple[int, Tensor]:
    """在 worker 裡；放在檔案的最外層，spawn 出來的行程才找得到。"""
    index, path = numbered
    try:
        return index, load_fn(path)
    except Exception as error:
        raise RuntimeError(f"載入 {path} 失敗：{type(error).__name__}: {error}") from error
