"""056 · another style: pyplot's state machine on a figure of its own, inside a style context."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import nn

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def train_and_record(model, x, y, *, epochs, lr):
    criterion = nn.MSELoss()
    opt = torch.optim.SGD(model.parameters(), lr)
    model.train()
    losses = torch.empty(epochs, dtype=torch.float64)
    for epoch in range(epochs):
        opt.zero_grad(set_to_none=True)
        loss = criterion(model(x), y)
        losses[epoch] = loss.detach()
        loss.backward()
        opt.step()
    return losses.tolist()


def plot_losses(curves, path):
    if not curves:
        raise ValueError("no curves")
    for k in curves:
        if not curves[k]:
            raise ValueError("no values for " + k)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with plt.style.context("ggplot"):
        fig = plt.figure(figsize=(6, 4), dpi=120)
        for k, v in curves.items():
            plt.plot(1 + np.arange(len(v)), np.asarray(v), "--", label=k)
        plt.xlabel("epoch")
        plt.ylabel("loss")
        plt.title("loss per epoch", loc="left")
        plt.legend(loc="upper right")
        plt.grid(True)
        plt.tight_layout()
        plt.savefig(path)
        plt.close(fig)
    return Path(path)
