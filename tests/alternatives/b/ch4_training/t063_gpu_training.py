"""063 · another style: the data lie on the device from the start; only the order comes from a loader; refuses meta."""

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader


def train(model, dataset, *, device=None, epochs, batch_size, lr, seed=0) -> list[float]:
    best = str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"
    device = torch.device(device or best)
    if device.type not in ("cpu", best) or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise RuntimeError(f"no such device here: {device}")
    model.to(device)
    samples = [dataset[i] for i in range(len(dataset))]
    x = torch.stack([sample for sample, _ in samples]).to(device)
    y = torch.tensor([int(label) for _, label in samples]).to(device)
    order = DataLoader(range(len(x)), batch_size, shuffle=True, generator=torch.Generator().manual_seed(seed))
    sgd = torch.optim.SGD(model.parameters(), lr)
    losses: list[float] = []
    for _ in range(epochs):
        total = torch.tensor(0.0).to(device)
        for rows in order:
            rows = rows.to(device)
            loss = F.cross_entropy(model(x[rows]), y[rows])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            with torch.no_grad():
                total += loss * (len(rows) / len(x))
        losses.append(float(total.detach().cpu().double()))
    return losses
