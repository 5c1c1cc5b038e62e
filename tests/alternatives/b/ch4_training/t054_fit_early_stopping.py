"""054 · another style: one function, inference_mode, cloned tensors copied back, sizes of the datasets."""

import math
from dataclasses import dataclass, field

import torch


@dataclass
class History:
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    stopped_early: bool = False


def fit(model, train_loader, val_loader, criterion, optimizer, *, max_epochs, patience):
    h = History()

    def snapshot():
        return [t.detach().clone() for t in (*model.parameters(), *model.buffers())]

    best = snapshot()
    lowest = None
    waited = 0
    for epoch in range(max_epochs):
        model.train()
        running = 0.0
        for batch in train_loader:
            inputs, targets = batch
            optimizer.zero_grad(set_to_none=False)
            loss = criterion(model(inputs), targets)
            loss.backward()
            optimizer.step()
            running += loss.item() * targets.size(0)
        h.train_loss.append(running / len(train_loader.dataset))

        model.eval()
        running = 0.0
        with torch.inference_mode():
            for inputs, targets in val_loader:
                running += criterion(model(inputs), targets).item() * targets.size(0)
        loss = running / len(val_loader.dataset)
        h.val_loss.append(loss)

        if math.isfinite(loss) and (lowest is None or loss < lowest):
            lowest, waited = loss, 0
            h.best_epoch = epoch + 1
            best = snapshot()
            continue
        waited += 1
        if waited >= patience:
            h.stopped_early = True
            break
    with torch.no_grad():
        for tensor, value in zip((*model.parameters(), *model.buffers()), best, strict=True):
            tensor.copy_(value)
    return h
