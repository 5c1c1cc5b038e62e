"""063 · another style: shuffles by hand with a seeded generator, and reads all losses at once at the end."""

import torch
from torch import nn
from torch.utils.data import default_collate


def train(model, dataset, *, device=None, epochs, batch_size, lr, seed=0):
    if device is None:
        found = torch.accelerator.current_accelerator(check_available=True)
        device = found if found is not None else torch.device("cpu")
    device = torch.device(device)
    try:
        torch.empty(1, device=device)
    except (AssertionError, RuntimeError, NotImplementedError) as exc:
        raise RuntimeError(f"{device} cannot be used") from exc
    model = model.to(device)
    generator = torch.Generator()
    generator.manual_seed(seed)
    criterion = nn.CrossEntropyLoss(reduction="none")
    params = [p for p in model.parameters() if p.requires_grad]
    epoch_losses = []
    for _ in range(epochs):
        pieces = []
        for index in torch.randperm(len(dataset), generator=generator).split(batch_size):
            inputs, labels = default_collate([dataset[int(i)] for i in index])
            inputs, labels = inputs.to(device), labels.to(device)
            per_sample = criterion(model(inputs), labels)
            grads = torch.autograd.grad(per_sample.mean(), params, allow_unused=True)
            with torch.no_grad():
                for p, g in zip(params, grads, strict=True):
                    if g is not None:
                        p.sub_(g, alpha=lr)
            pieces.append(per_sample.detach())
        epoch_losses.append(torch.cat(pieces).mean())
    return torch.stack(epoch_losses).tolist() if epoch_losses else []
