"""061 · 自定義的訓練日誌記錄系統

題目
    寫一個訓練日誌：每筆記錄是 JSON Lines 檔的一行，訓練當掉也不遺失，之後可以讀回來畫圖、比較。

        {"time": "2026-03-01T09:30:00.125+08:00", "level": "INFO", "epoch": 3, "loss": 0.25, "accuracy": null}
        {"time": "2026-03-01T09:30:02.480+08:00", "level": "WARNING", "message": "梯度太大"}

    幾個常見的坑：
        json.dumps(float("nan")) 寫出 NaN，那不是合法的 JSON，別的程式讀不了；這裡寫成 null。
        檔案有緩衝：程式被殺掉時，還沒寫到磁碟的幾百行就不見了。
        用 logging.getLogger("train") 再 addHandler：同名的 logger 只有一個，建立兩次，
        每一行就寫兩遍，還會寫進別人的檔案；它也預設把訊息往上傳給 root logger。

介面
    TrainingLogger(path, *, console=False)
        path 是 str 或 Path，所在的資料夾已經存在。檔案已存在就接著寫；
        最後一行若沒有寫完（沒有換行），新的記錄從新的一行開始。
        console 為 True 時，每筆記錄也印到 stdout 或 stderr，看得到 epoch、指標的名稱與訊息，格式不限；
        False 時什麼都不印。
    log(epoch, **metrics)
        一行，恰有 time、level（"INFO"）、epoch 與各個指標。指標是數字或只有一個元素的張量（任何形狀，可能需要梯度）；
        張量變成數字，整數仍是整數，浮點數一位不差；NaN 與 ±inf 變成 null。指標的名稱不會是 time、level。
    info(msg)、warning(msg)
        一行，恰有 time、level（"INFO"、"WARNING"）、message。訊息可以有中文與換行。
    close()
        關閉檔案；呼叫兩次無妨。
    with TrainingLogger(path) as logger:
        得到 logger 本身，離開時關閉。區塊裡拋出例外時先記一行 level 為 "ERROR" 的記錄，message 含例外的型別名稱與訊息，
        再讓例外照常往外傳。
    read_log(path) -> list[dict]
        檔案裡的記錄，依序。寫到一半被截斷的行略過，不拋出例外：它可能是最後一行，接著寫過之後也可能在中間，
        還可能斷在一個中文字的中間。

    time 是 ISO 8601（datetime.fromisoformat 讀得懂）的當下時間，不附時區就是當地時間。檔案是 UTF-8。

評分
    形狀  log 與訊息的每一行恰有那些鍵，level 正確
    數值  數字與單元素張量的值與型別；NaN、inf 是 null，每一行都是合法的 JSON
    行為  time；呼叫一返回就在磁碟上；重開後接著寫、不重複；截斷的行之後從新的一行開始；
          兩個 logger（不同資料夾裡的同名檔案）互不混雜；root logger 的 handler 與 level 不變，
          它的 handler 也收不到這裡的訊息；例外有記錄也往外傳；離開 with（例外也算）與 close 之後檔案是關的；
          read_log 讀得回來、不怕截斷；console

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "train.jsonl")
    ...     with TrainingLogger(path) as logger:
    ...         logger.log(1, loss=torch.tensor(0.5), accuracy=float("nan"))
    ...         logger.warning("梯度太大")
    ...     first, second = read_log(path)
    >>> first["epoch"], first["loss"], first["accuracy"]
    (1, 0.5, None)
    >>> second["level"], second["message"]
    ('WARNING', '梯度太大')

面試追問
    1. 寫進檔案（write）、flush、fsync 各保證了什麼？程式被殺掉與整台機器斷電有什麼不同？
    2. 多個行程（DDP 的各個 rank）要寫日誌，怎麼避免混在一起？
    3. 每一步都記 loss.item() 會拖慢 GPU 訓練，為什麼？怎麼改？
"""

import contextlib
import io
import json
import math
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor


class TrainingLogger:
    def __init__(self, path: str | Path, *, console: bool = False) -> None:
        raise NotImplementedError("TODO 061")

    def log(self, epoch: int, **metrics: float | Tensor) -> None:
        """一個 epoch 的指標。"""
        raise NotImplementedError("TODO 061")

    def info(self, msg: str) -> None:
        raise NotImplementedError("TODO 061")

    def warning(self, msg: str) -> None:
        raise NotImplementedError("TODO 061")

    def close(self) -> None:
        raise NotImplementedError("TODO 061")

    def __enter__(self) -> "TrainingLogger":
        raise NotImplementedError("TODO 061")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError("TODO 061")


def read_log(path: str | Path) -> list[dict]:
    """檔案裡的記錄，依序；截斷的行略過。"""
    raise NotImplementedError("TODO 061")
