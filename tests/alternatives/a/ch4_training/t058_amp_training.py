"""058 · another style: two branches, the loss inside autocast on float32 outputs, gradients cleared by hand."""

import torch
from torch.nn.utils import clip_grad_norm_


def amp_train_step(model, optimizer, criterion, x, y, *, dtype=torch.bfloat16, scaler=None, max_norm=None):
    for parameter in model.parameters():
        parameter.grad = None
    with torch.autocast(device_type=next(model.parameters()).device.type, dtype=dtype):
        loss = criterion(model(x).to(torch.float32), y)
    if scaler is None:
        loss.backward()
        if max_norm is not None:
            clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
    else:
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        if max_norm is not None:
            clip_grad_norm_(model.parameters(), max_norm)
        scaler.step(optimizer)
        scaler.update()
    return float(loss.detach())
