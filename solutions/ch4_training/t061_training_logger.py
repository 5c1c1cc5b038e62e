"""061 · 訓練日誌：參考解"""

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
        self._console = console
        # FileIO 沒有緩衝：write 一返回，這一行就在作業系統手裡，程式當掉也不遺失。
        self._file = io.FileIO(path, "a+")
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")

    def log(self, epoch: int, **metrics: float | Tensor) -> None:
        """一個 epoch 的指標。"""
        self._write("INFO", epoch=epoch, **{name: _number(value) for name, value in metrics.items()})

    def info(self, msg: str) -> None:
        self._write("INFO", message=msg)

    def warning(self, msg: str) -> None:
        self._write("WARNING", message=msg)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> "TrainingLogger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._write("ERROR", message=f"{kind.__name__}: {error}")
        self.close()

    def _write(self, level: str, **fields: object) -> None:
        record = {"time": datetime.now().astimezone().isoformat(), "level": level, **fields}
        line = json.dumps(record, ensure_ascii=False)
        self._file.write(f"{line}\n".encode())
        if self._console:
            print(line, file=sys.stderr)


def _number(value: float | Tensor) -> float | None:
    value = value.item() if isinstance(value, Tensor) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_log(path: str | Path) -> list[dict]:
    """檔案裡的記錄，依序；截斷的行略過。"""
    records = []
    with open(path, "rb") as file:  # bytes：斷在中文字中間的那一行不會連累別行
        for line in file:
            with contextlib.suppress(ValueError):  # JSONDecodeError 與 UnicodeDecodeError 都是
                records.append(json.loads(line))
    return records
