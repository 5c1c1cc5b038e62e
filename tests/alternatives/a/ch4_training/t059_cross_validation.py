"""059 · another style: sizes and masks, the update by hand, only the parts standardised."""

import random

import torch


def kfold_indices(n, k, *, shuffle=False, seed=0):
    if k < 2 or k > n:
        raise ValueError(f"{k} folds of {n} samples")
    order = list(range(n))
    if shuffle:
        random.Random(seed).shuffle(order)
    base, extra = divmod(n, k)
    folds, start = [], 0
    for number in range(k):
        size = base + 1 if number < extra else base
        held_out = torch.zeros(n, dtype=torch.bool)
        held_out[order[start : start + size]] = True
        folds.append(((~held_out).nonzero().squeeze(1), held_out.nonzero().squeeze(1)))
        start += size
    return folds


def cross_validate(make_model, x, y, *, k, epochs, lr, seed=0):
    def fold(train, validation):
        model = make_model().train()
        std, mean = torch.std_mean(x[train], 0, unbiased=False)
        std[std == 0] = 1
        inputs = (x[train] - mean) / std
        parameters = list(model.parameters())
        for _ in range(epochs):
            loss = (model(inputs) - y[train]).square().mean()
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter -= lr * gradient
        model.eval()
        error = model((x[validation] - mean) / std) - y[validation]
        return float(error.detach().square().mean())

    return [fold(*parts) for parts in kfold_indices(x.size(0), k, shuffle=True, seed=seed)]
