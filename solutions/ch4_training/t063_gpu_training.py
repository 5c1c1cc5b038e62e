"""063 · 使用 GPU 來加速模型的訓練：參考解"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset


def train(
    model: nn.Module,
    dataset: Dataset,
    *,
    device: torch.device | str | None = None,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int = 0,
) -> list[float]:
    """在 device 上訓練 model，傳回每個 epoch 的損失。"""
    device = usable(device)
    model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)  # 先搬模型，再建 optimizer
    generator = torch.Generator().manual_seed(seed)  # 打亂在 CPU 上做，哪個裝置的順序都一樣
    # pin_memory 加 non_blocking：搬下一個 batch 時，GPU 還在算這一個
    loader = DataLoader(
        dataset, batch_size=batch_size, shuffle=True, generator=generator, pin_memory=device.type == "cuda"
    )
    losses = []
    for _ in range(epochs):
        total = torch.zeros((), device=device)  # 累加在裝置上，不必每一步等它算完
        for x, y in loader:
            x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(x)  # 最後一個 batch 較小，要以樣本數加權
        losses.append(total.item() / len(dataset))
    return losses


def usable(device: torch.device | str | None) -> torch.device:
    if device is None:
        best = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return best or torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (AssertionError, RuntimeError) as error:  # 沒有編入 CUDA 的 torch 拋出的是 AssertionError
        raise RuntimeError(f"這台機器上不能用 {device}") from error
