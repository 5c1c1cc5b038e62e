"""061 · another style: opens, appends and closes the file at every call; naive local time."""

import datetime
import json
import os
import time
import traceback

import numpy as np
import torch


def clean(v):
    if isinstance(v, torch.Tensor):
        v = v.detach().reshape(()).cpu().numpy()[()].item()
    if isinstance(v, int):
        return v
    return float(v) if np.isfinite(v) else None


class TrainingLogger:
    def __init__(self, path, *, console=False):
        self.path, self.console = os.fspath(path), console
        with open(self.path, "a+", encoding="utf-8", newline="\n") as f:
            f.seek(0)
            content = f.read()
            if content and not content.endswith("\n"):
                f.write("\n")

    def write(self, level, **what):
        now = datetime.datetime.now().isoformat(timespec="seconds")
        with open(self.path, "a", encoding="utf-8", newline="\n") as f:
            f.write(json.dumps(dict(time=now, level=level) | what, allow_nan=False) + "\n")
            f.flush()
            os.fsync(f.fileno())
        if self.console:
            print(time.strftime("%X"), level, *(f"{k}={v}" for k, v in what.items()))

    def log(self, epoch, **metrics):
        self.write("INFO", epoch=epoch, **{k: clean(v) for k, v in metrics.items()})

    def info(self, msg):
        self.write("INFO", message=msg)

    def warning(self, msg):
        self.write("WARNING", message=msg)

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0]:
            self.write("ERROR", message="".join(traceback.format_exception(*exception)))


def parse(line):
    try:
        return [json.loads(line.decode("utf-8"))]
    except (UnicodeDecodeError, json.JSONDecodeError):
        return []


def read_log(path):
    with open(path, "rb") as f:
        return [record for line in f.read().split(b"\n") for record in parse(line)]
