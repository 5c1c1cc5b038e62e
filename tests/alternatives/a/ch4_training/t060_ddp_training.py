"""Task 060 with processes and a queue of its own, a store in the caller, slices instead of a DataLoader."""

import multiprocessing
import queue
import traceback
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.utils.data import default_collate
from torch.utils.data.distributed import DistributedSampler


def worker(rank, port, results, config):
    try:
        results.put((rank, None, train(rank, port, **config)))
    except BaseException:
        results.put((rank, traceback.format_exc(), None))
        raise


def train(rank, port, make_model, dataset, world_size, epochs, batch_size, lr, seed, backend):
    store = dist.TCPStore("127.0.0.1", port, is_master=False)
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size)
    device = f"cuda:{rank}" if backend == "nccl" else "cpu"
    if backend == "nccl":
        torch.cuda.set_device(rank)
    torch.manual_seed(seed)
    model = make_model()
    parallel = DDP(model.to(device), device_ids=[rank] if backend == "nccl" else None)
    parallel.train()
    optimizer = torch.optim.SGD(parallel.parameters(), lr)
    loss_fn = nn.MSELoss()
    sampler = DistributedSampler(dataset, num_replicas=world_size, rank=rank, shuffle=True, seed=seed)
    share = batch_size // world_size
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        order = list(sampler)
        for start in range(0, len(order), share):
            x, y = default_collate([dataset[i] for i in order[start : start + share]])
            loss = loss_fn(parallel(x.to(device)), y.to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    dist.barrier()
    state = {k: v.detach().cpu().numpy() for k, v in model.state_dict().items()} if rank == 0 else None
    dist.destroy_process_group()
    return state


def train_ddp(make_model, dataset, *, world_size=2, epochs, batch_size, lr, seed=0, backend="gloo"):
    context = multiprocessing.get_context("spawn")
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=120))
    results = context.Queue()
    config = dict(
        make_model=make_model,
        dataset=dataset,
        world_size=world_size,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        seed=seed,
        backend=backend,
    )
    processes = [context.Process(target=worker, args=(r, store.port, results, config)) for r in range(world_size)]
    try:
        for process in processes:
            process.start()
        state, waiting = None, set(range(world_size))
        while waiting:
            try:
                rank, error, value = results.get(timeout=0.2)
            except queue.Empty:
                dead = [(r, processes[r].exitcode) for r in waiting if processes[r].exitcode not in (None, 0)]
                if dead:
                    raise RuntimeError(f"rank {dead[0][0]} died with exit code {dead[0][1]}") from None
                continue
            if error:
                raise RuntimeError(f"rank {rank} failed:\n{error}")
            waiting.discard(rank)
            state = value if value is not None else state
        for process in processes:
            process.join()
        return {name: torch.from_numpy(array) for name, array in state.items()}
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            if process.pid:
                process.join()
        results.close()
        results.join_thread()
