"""061 · another style: the logging module, with a Logger of its own that no registry knows, and a JSON formatter."""

import json
import logging
import math
import pathlib
import sys
from datetime import UTC, datetime

import torch


class JsonFormatter(logging.Formatter):
    def format(self, record):
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat()
        return json.dumps({"time": stamp, "level": record.levelname, **record.fields})


class Plain(logging.Formatter):
    def format(self, record):
        return f"{record.levelname} {record.fields}"


class TrainingLogger:
    def __init__(self, path, *, console=False):
        path = pathlib.Path(path)
        if path.exists() and path.stat().st_size and path.read_bytes()[-1:] != b"\n":
            with path.open("ab") as f:
                f.write(b"\n")
        self.logger = logging.Logger("training", logging.DEBUG)
        self.handlers = [logging.FileHandler(path, mode="a", encoding="utf-8")]
        self.handlers[0].setFormatter(JsonFormatter())
        if console:
            self.handlers.append(logging.StreamHandler(sys.stdout))
            self.handlers[1].setFormatter(Plain())
        for handler in self.handlers:
            self.logger.addHandler(handler)

    def log(self, epoch, **metrics):
        fields = {"epoch": epoch}
        for name, value in metrics.items():
            if torch.is_tensor(value):
                value = value.detach().cpu().flatten().tolist()[0]
            if isinstance(value, float) and (math.isnan(value) or math.isinf(value)):
                value = None
            fields[name] = value
        self.logger.info("", extra={"fields": fields})

    def info(self, msg):
        self.logger.info("", extra={"fields": {"message": msg}})

    def warning(self, msg):
        self.logger.warning("", extra={"fields": {"message": msg}})

    def close(self):
        for handler in self.handlers:
            self.logger.removeHandler(handler)
            handler.close()
        self.handlers = []

    def __enter__(self):
        return self

    def __exit__(self, exc_type, exc, tb):
        try:
            if exc is not None:
                self.logger.error("", extra={"fields": {"message": repr(exc), "where": str(tb.tb_lineno)}})
        finally:
            self.close()
        return False


def read_log(path):
    entries = []
    for line in pathlib.Path(path).read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        entries.append(entry)
    return entries
