"""Task 064: shapes compared before anything is loaded, a temporary folder beside the file, pickled random states."""

import json
import os
import random
import shutil
import tempfile

import numpy as np
import torch


def save_checkpoint(path, model, optimizer, *, epoch, scheduler=None):
    path = os.path.abspath(path)
    legacy = np.random.get_state(legacy=False)
    legacy["state"]["key"] = [int(k) for k in legacy["state"]["key"]]
    payload = {
        "meta": json.dumps({"epoch": epoch, "python": random.getstate(), "numpy": legacy}),
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": None if scheduler is None else scheduler.state_dict(),
        "torch_rng": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        payload["cuda_rng"] = torch.cuda.get_rng_state_all()
    folder = tempfile.mkdtemp(dir=os.path.dirname(path))
    try:
        torch.save(payload, os.path.join(folder, "new"))
        os.rename(os.path.join(folder, "new"), path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fits(model, optimizer, payload):
    mine, theirs = model.state_dict(), payload["model_state_dict"]
    if mine.keys() != theirs.keys():
        return False
    if any(mine[key].shape != theirs[key].shape for key in mine):
        return False
    if optimizer is None:
        return True
    counts = [len(group["params"]) for group in optimizer.param_groups]
    return counts == [len(group["params"]) for group in payload["optimizer_state_dict"]["param_groups"]]


def load_checkpoint(path, model, optimizer=None, *, scheduler=None, device="cpu"):
    try:
        payload = torch.load(path, map_location=torch.device(device), weights_only=True)
        meta = json.loads(payload["meta"])
        fits = _fits(model, optimizer, payload)
    except Exception as exc:
        raise ValueError(f"{path}: broken checkpoint") from exc
    if not fits:
        raise ValueError(f"{path}: checkpoint of another model or optimizer")
    model.load_state_dict(payload["model_state_dict"])
    if scheduler is not None:
        scheduler.load_state_dict(payload["scheduler_state_dict"])
    if optimizer is not None:
        optimizer.load_state_dict(payload["optimizer_state_dict"])
        torch.set_rng_state(payload["torch_rng"].cpu())
        if torch.cuda.is_available() and "cuda_rng" in payload:
            torch.cuda.set_rng_state_all([s.cpu() for s in payload["cuda_rng"]])
        version, internal, gauss_next = meta["python"]
        random.setstate((version, tuple(internal), gauss_next))
        state = meta["numpy"]
        state["state"]["key"] = np.array(state["state"]["key"], dtype=np.uint32)
        np.random.set_state(state)
    return meta["epoch"]
