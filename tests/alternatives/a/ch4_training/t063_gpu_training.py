"""063 · another style: losses kept in a list on the device and read at the very end, the update by hand."""

import torch
from torch.nn import CrossEntropyLoss
from torch.utils.data import DataLoader


def train(model, dataset, *, device=None, epochs, batch_size, lr, seed=0):
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(f"{device} is not available")
    model = model.to(device)
    criterion = CrossEntropyLoss(reduction="none")
    generator = torch.Generator()
    generator.manual_seed(seed)
    loader = DataLoader(dataset, batch_size, shuffle=True, generator=generator)
    history = []
    for _ in range(epochs):
        parts = []
        for inputs, targets in loader:
            each = criterion(model(inputs.to(device)), targets.to(device))
            model.zero_grad()
            each.mean().backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.sub_(parameter.grad, alpha=lr)
            parts.append(each.detach())
        history.append(torch.cat(parts).mean())
    return torch.stack(history).tolist() if history else []
