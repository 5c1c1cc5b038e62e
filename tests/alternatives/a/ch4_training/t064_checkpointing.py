"""Task 064: everything tried on copies first, bytes made in memory, random states as tensors."""

import copy
import io
import os
import pathlib
import random

import numpy
import torch


def save_checkpoint(path, model, optimizer, *, epoch, scheduler=None):
    name, keys, pos, has_gauss, cached = numpy.random.get_state()
    version, internal, gauss_next = random.getstate()
    content = dict(
        format="demo-checkpoint-1",
        epoch=torch.tensor(epoch),
        net=model.state_dict(),
        optim=optimizer.state_dict(),
        rng_cpu=torch.random.get_rng_state(),
        rng_cuda=[torch.cuda.get_rng_state(i) for i in range(torch.cuda.device_count())],
        rng_numpy=[name, torch.from_numpy(keys.astype("int64")), pos, has_gauss, cached],
        rng_python=[version, torch.tensor(internal), gauss_next],
    )
    if scheduler is not None:
        content["sched"] = scheduler.state_dict()
    buffer = io.BytesIO()
    torch.save(content, buffer)
    target = pathlib.Path(path)
    partial = target.with_suffix(f".{os.getpid()}.part")
    try:
        partial.write_bytes(buffer.getvalue())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load_checkpoint(path, model, optimizer=None, *, scheduler=None, device="cpu"):
    data = pathlib.Path(path).read_bytes()
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"not a checkpoint: {path}") from error
    if not isinstance(content, dict) or content.get("format") != "demo-checkpoint-1":
        raise ValueError(f"not a checkpoint: {path}")
    trial, trial_optimizer = copy.deepcopy((model, optimizer))
    try:
        trial.load_state_dict(content["net"])
        if optimizer is not None:
            trial_optimizer.load_state_dict(content["optim"])
        if scheduler is not None:
            scheduler_state = content["sched"]
    except (RuntimeError, KeyError, ValueError) as error:
        raise ValueError(f"checkpoint does not fit: {error}") from error
    model.load_state_dict(content["net"])
    if scheduler is not None:
        scheduler.load_state_dict(scheduler_state)
    if optimizer is not None:
        optimizer.load_state_dict(content["optim"])
        torch.random.set_rng_state(content["rng_cpu"])
        for index, state in enumerate(content["rng_cuda"][: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(state, index)
        name, keys, *rest = content["rng_numpy"]
        numpy.random.set_state((name, keys.numpy().astype("uint32"), *rest))
        version, internal, gauss_next = content["rng_python"]
        random.setstate((version, tuple(internal.tolist()), gauss_next))
    return content["epoch"].item()
