"""053 · another style: nn.MSELoss with loss.backward() on hand-set gradients; the SVD written out in x's own dtype."""

import torch
from torch import nn


def fit_linear(x, y, *, lr=0.01, epochs=100):
    target = y[:, None] if y.ndim == 1 else y
    model, criterion = nn.Linear(x.shape[-1], 1), nn.MSELoss()
    model = model.to(x)
    history = []
    while len(history) < epochs:
        model.zero_grad(set_to_none=True)
        loss = criterion(model(x), target)
        loss.backward()
        history.append(loss.detach())
        for parameter in model.parameters():
            parameter.data.add_(parameter.grad, alpha=-lr)
    return model, [value.item() for value in history]


def closed_form(x, y):
    one = torch.ones(x.shape[0], 1, dtype=x.dtype, device=x.device)
    u, s, v = torch.linalg.svd(torch.hstack((one, x)), full_matrices=False)
    keep = s > s[0] * len(x) * torch.finfo(x.dtype).eps
    theta = v[keep].T @ ((u[:, keep].T @ y.reshape(-1)) / s[keep])
    return theta[1:].unsqueeze(0), theta[:1]
