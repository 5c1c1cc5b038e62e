"""054 · another style: one loop for both phases, a counter of bad epochs, a copy of the whole model."""

from copy import deepcopy
from dataclasses import dataclass

import torch


@dataclass
class History:
    train_loss: list
    val_loss: list
    best_epoch: int
    stopped_early: bool


def run_epoch(model, loader, criterion, optimizer=None):
    training = optimizer is not None
    model.train(training)
    losses, sizes = [], []
    with torch.set_grad_enabled(training):
        for x, y in loader:
            if training:
                optimizer.zero_grad()
            loss = criterion(model(x), y)
            if training:
                loss.backward()
                optimizer.step()
            losses.append(loss.detach())
            sizes.append(x.shape[0])
    sizes = torch.tensor(sizes, device=losses[0].device)
    return float((torch.stack(losses) * sizes).sum() / sizes.sum())


def fit(model, train_loader, val_loader, criterion, optimizer, *, max_epochs, patience):
    train, val = [], []
    best, best_epoch, best_loss = deepcopy(model), 0, float("inf")
    bad = 0
    stopped = False
    while len(val) < max_epochs and not stopped:
        train.append(run_epoch(model, train_loader, criterion, optimizer))
        val.append(run_epoch(model, val_loader, criterion))
        if best_loss - val[-1] > 0:
            best, best_epoch, best_loss, bad = deepcopy(model), len(val), val[-1], 0
        else:
            bad += 1
            stopped = bad == patience
    model.load_state_dict(best.state_dict())
    return History(train, val, best_epoch, stopped)
