"""061 · another style: a private logging.Logger, never registered; ASCII JSON, on the console too."""

import json
import logging
import math
import sys
from datetime import datetime
from pathlib import Path

import torch


class _JsonFormatter(logging.Formatter):
    def format(self, record):
        entry = {"time": datetime.fromtimestamp(record.created).isoformat(), "level": record.levelname}
        entry.update(record.fields)
        return json.dumps(entry, allow_nan=False)


def _number(value):
    if torch.is_tensor(value):
        value = value.detach().reshape(()).item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class TrainingLogger:
    def __init__(self, path, *, console=False):
        path = Path(path)
        if path.exists():
            data = path.read_bytes()
            if data and not data.endswith(b"\n"):
                with path.open("ab") as f:
                    f.write(b"\n")
        self._logger = logging.Logger("training", level=logging.INFO)
        self._logger.propagate = False
        handlers = [logging.FileHandler(path, mode="a", encoding="utf-8")]
        if console:
            handlers.append(logging.StreamHandler(sys.stdout))
        for h in handlers:
            h.setFormatter(_JsonFormatter())
            self._logger.addHandler(h)

    def log(self, epoch, **metrics):
        fields = {"epoch": epoch} | {k: _number(v) for k, v in metrics.items()}
        self._logger.info("", extra={"fields": fields})

    def info(self, msg):
        self._logger.info("", extra={"fields": {"message": msg}})

    def warning(self, msg):
        self._logger.warning("", extra={"fields": {"message": msg}})

    def close(self):
        for h in list(self._logger.handlers):
            self._logger.removeHandler(h)
            h.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self._logger.error("", extra={"fields": {"message": repr(error)}})
        self.close()


def read_log(path):
    out = []
    for raw in Path(path).read_bytes().split(b"\n"):
        try:
            record = json.loads(raw.decode("utf-8"))
        except ValueError:
            continue
        if isinstance(record, dict):
            out.append(record)
    return out
