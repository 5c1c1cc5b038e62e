"""064 · Checkpoint：參考解"""

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
    checkpoint = {
        "epoch": epoch,
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "random": _random_states(),
    }
    # 先在同一個資料夾寫好暫存檔，再換上去：任何時候 path 都是一個完整的檔案。
    descriptor, temporary = tempfile.mkstemp(dir=Path(path).parent)
    try:
        with open(descriptor, "wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load_checkpoint(
    path: str | Path,
    model: nn.Module,
    optimizer: Optimizer | None = None,
    *,
    scheduler: LRScheduler | None = None,
    device: str | torch.device = "cpu",
) -> int:
    """載入 path，傳回存檔時的 epoch；檔案不對時拋出 ValueError，什麼也不改。"""
    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    parts = {name: part for name, part in parts.items() if part is not None}
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        checkpoint = torch.load(path, map_location=device, weights_only=True)
        epoch, states = checkpoint["epoch"], checkpoint["random"]
        for name, part in parts.items():
            part.load_state_dict(checkpoint[name])
    except FileNotFoundError:
        raise
    except Exception as error:  # 壞檔的例外型別不只一種
        for name, part in parts.items():
            part.load_state_dict(before[name])  # load_state_dict 失敗時，相符的參數已經被改了
        raise ValueError(f"無法載入 {path}：{error}") from error
    if optimizer is not None:
        _restore_random(states)
    return epoch


def _random_states() -> dict:
    kind, keys, *rest = np.random.get_state()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": (kind, keys.tolist(), *rest),  # weights_only=True 不收 ndarray
    }


def _restore_random(states: dict) -> None:
    torch.set_rng_state(states["torch"].cpu())  # map_location 會把它也搬到 GPU
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
