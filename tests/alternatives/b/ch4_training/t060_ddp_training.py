"""Task 060 with environment variables in the ranks only, a port that the system chose, and updates by hand."""

import os
import pathlib
import socket
import tempfile

import torch
from torch import distributed, multiprocessing
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler


def main(rank, size, port, out, make_model, dataset, epochs, batch_size, lr, seed, backend):
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    os.environ["MASTER_PORT"] = str(port)
    distributed.init_process_group(backend=backend, rank=rank, world_size=size)
    try:
        device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
        torch.manual_seed(seed)
        net = make_model().to(device)
        ddp = DistributedDataParallel(net)
        sampler = DistributedSampler(dataset, size, rank, seed=seed)
        for epoch in range(epochs):
            sampler.set_epoch(epoch)
            for x, y in DataLoader(dataset, batch_size // size, sampler=sampler):
                difference = ddp(x.to(device)) - y.to(device)
                ddp.zero_grad()
                (difference**2).mean().backward()
                with torch.no_grad():
                    for p in net.parameters():
                        p.sub_(p.grad, alpha=lr)
        if rank == 0:
            torch.save({k: v.to("cpu") for k, v in net.state_dict().items()}, out)
    finally:
        distributed.destroy_process_group()


def train_ddp(make_model, dataset, *, world_size=2, epochs, batch_size, lr, seed=0, backend="gloo"):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "state.pt"
        args = (world_size, port, out, make_model, dataset, epochs, batch_size, lr, seed, backend)
        multiprocessing.spawn(main, args=args, nprocs=world_size, join=True)
        return torch.load(out)
