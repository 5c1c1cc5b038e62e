"""056 · another style: gradients by torch.autograd.grad; a Figure of its own that pyplot never hears of."""

import os
import pathlib

import torch
from matplotlib.figure import Figure


def train_and_record(model, x, y, *, epochs, lr):
    history = []
    parameters = list(model.parameters())
    for _ in range(epochs):
        mse = (model(x) - y).square().mean()
        history.append(float(mse))
        with torch.no_grad():
            for p, g in zip(parameters, torch.autograd.grad(mse, parameters), strict=True):
                p -= lr * g
    return history


def plot_losses(curves, path):
    if len(curves) == 0 or any(len(v) == 0 for v in curves.values()):
        raise ValueError(f"need at least one value in each of {list(curves)}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    fig = Figure(dpi=150, layout="constrained")
    ax = fig.add_subplot()
    lines = [ax.semilogy([i + 1 for i in range(len(v))], v, marker="o", ms=3)[0] for v in curves.values()]
    fig.legend(lines, list(curves), loc="outside right upper")
    fig.suptitle("losses")
    fig.supxlabel("epoch")
    ax.set_ylabel("MSE (log)")
    fig.savefig(path, bbox_inches="tight")
    return pathlib.Path(path)
