"""058 · another style: autocast as a decorator, the global norm by hand, parameters taken from the optimizer."""

import torch


def forward(model, x, dtype):
    return torch.autocast(x.device.type, dtype)(model.__call__)(x)


def amp_train_step(
    model,
    optimizer,
    criterion,
    x,
    y,
    *,
    dtype: torch.dtype = torch.bfloat16,
    scaler: torch.amp.GradScaler | None = None,
    max_norm: float | None = None,
) -> float:
    optimizer.zero_grad(set_to_none=False)
    loss = criterion(forward(model, x, dtype).float(), y)
    (loss if scaler is None else scaler.scale(loss)).backward()
    if max_norm is not None:
        if scaler is not None:
            scaler.unscale_(optimizer)
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        total = torch.stack([grad.square().sum() for grad in grads]).sum().sqrt()
        if total > max_norm:
            torch._foreach_mul_(grads, (max_norm / total).item())
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()
    return loss.item()
