"""060 · DistributedDataParallel：參考解"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Dataset, DistributedSampler, TensorDataset


def train_ddp(
    make_model: Callable[[], nn.Module],
    dataset: Dataset,
    *,
    world_size: int = 2,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int = 0,
    backend: str = "gloo",
) -> dict[str, Tensor]:
    """開 world_size 個行程訓練，傳回訓練後的 state_dict（CPU）。"""
    with tempfile.TemporaryDirectory() as folder:
        settings = (folder, world_size, make_model, dataset, epochs, batch_size // world_size, lr, seed, backend)
        # 任何一個 rank 失敗，spawn 就結束其餘的，並拋出帶著該 rank 的 traceback 或 exit code 的例外。
        mp.spawn(_train_rank, settings, nprocs=world_size)
        return torch.load(Path(folder, "model.pt"), weights_only=True)


def _train_rank(
    rank: int,
    folder: str,
    world_size: int,
    make_model: Callable[[], nn.Module],
    dataset: Dataset,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    backend: str,
) -> None:
    # 以檔案會合：沒有固定的 port，也不必設定 MASTER_ADDR 等環境變數，同時訓練幾次都不相撞。
    store = Path(folder, "store").as_uri()
    dist.init_process_group(backend, init_method=store, rank=rank, world_size=world_size)
    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    torch.manual_seed(seed)
    model = DistributedDataParallel(make_model().to(device))
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    sampler = DistributedSampler(dataset, seed=seed)
    loader = DataLoader(dataset, batch_size=batch_size, sampler=sampler)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)  # 少了它，每個 epoch 都是同一個順序
        for x, y in loader:
            optimizer.zero_grad()
            # 各 rank 的份量相同，所以平均值的平均就是整個 batch 的平均；backward 時 DDP 會平均梯度。
            F.mse_loss(model(x.to(device)), y.to(device)).backward()
            optimizer.step()
    if rank == 0:
        torch.save({name: value.cpu() for name, value in model.module.state_dict().items()}, Path(folder, "model.pt"))
    dist.destroy_process_group()
