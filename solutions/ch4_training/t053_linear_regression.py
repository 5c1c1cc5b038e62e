"""053 · 線性回歸：參考解"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def fit_linear(x: Tensor, y: Tensor, *, lr: float = 0.01, epochs: int = 100) -> tuple[nn.Linear, list[float]]:
    """x (N, D)、y (N,) 或 (N, 1) -> 訓練好的 nn.Linear(D, 1)，與每一步更新之前的 MSE。"""
    y = y.reshape(-1, 1)  # (N,) 與模型輸出的 (N, 1) 相減會廣播成 (N, N)
    model = nn.Linear(x.shape[1], 1).to(x.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(epochs):
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def closed_form(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, D)、y (N,) 或 (N, 1) -> 最小平方解的 weight (1, D)、bias (1,)。"""
    design = torch.cat([x, torch.ones_like(x[:, :1])], dim=1).double()
    # 偽逆用 SVD，特徵重複也可以；torch.linalg.lstsq 在 CUDA 上只有要求滿秩的 gels。
    solution = torch.linalg.pinv(design) @ y.reshape(-1, 1).double()
    return solution[:-1].T.to(x.dtype), solution[-1].to(x.dtype)
