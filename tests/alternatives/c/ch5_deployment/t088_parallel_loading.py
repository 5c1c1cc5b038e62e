"""Task 088 with Pool.map, the plain way: an error is raised when all have been tried."""

import functools

import torch.multiprocessing as mp


def _one(path, load_fn):
    try:
        return load_fn(path).share_memory_()
    except Exception as exc:
        raise type(exc)(f"{exc} (while loading {path})") from exc


def parallel_load(paths, load_fn, *, num_workers=2):
    pool = mp.get_context().Pool(processes=num_workers)
    try:
        return pool.map(functools.partial(_one, load_fn=load_fn), paths, chunksize=1)
    finally:
        pool.terminate()
        pool.join()
