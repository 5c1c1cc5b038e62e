"""059 · another style: the fold of every sample first, NumPy's generator, models kept in lists."""

import numpy as np
import torch
from torch import nn


def kfold_indices(n: int, k: int, *, shuffle: bool = False, seed: int = 0):
    if k <= 1:
        raise ValueError(f"k must be at least 2, not {k}")
    if k > n:
        raise ValueError(f"cannot cut {n} samples into k = {k} folds")
    fold_of = np.repeat(np.arange(k), [n // k + (i < n % k) for i in range(k)])
    if shuffle:
        fold_of = np.random.default_rng(seed).permutation(fold_of)
    return [tuple(torch.from_numpy(np.flatnonzero(mask)) for mask in (fold_of != i, fold_of == i)) for i in range(k)]


def cross_validate(make_model, x, y, *, k, epochs, lr, seed=0):
    folds = kfold_indices(len(x), k, shuffle=True, seed=seed)
    criterion = nn.MSELoss()
    results = []
    for train, held in folds:
        x_train, y_train, x_held, y_held = x[train], y[train], x[held], y[held]
        mean = x_train.mean(dim=0, keepdim=True)
        std = (x_train - mean).pow(2).mean(dim=0, keepdim=True).sqrt()
        constant = (x_train == x_train[:1]).all(dim=0, keepdim=True)
        std = torch.where(constant | (std == 0), torch.ones_like(std), std)
        x_train, x_held = (x_train - mean) / std, (x_held - mean) / std
        model = make_model()
        optimizer = torch.optim.SGD(model.parameters(), lr)
        for _ in range(epochs):
            model.train()
            loss = criterion(model(x_train), y_train)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            results.append(criterion(model(x_held), y_held).item())
    return results
