"""Task 088 with concurrent.futures on torch's context, the tensors shared by the workers."""

from concurrent.futures import ProcessPoolExecutor

import torch.multiprocessing


def shared(load_fn, path):
    return load_fn(path).contiguous().share_memory_()


def parallel_load(paths, load_fn, *, num_workers=2):
    context = torch.multiprocessing.get_context(torch.multiprocessing.get_start_method())
    with ProcessPoolExecutor(max_workers=num_workers, mp_context=context) as executor:
        futures = [executor.submit(shared, load_fn, path) for path in paths]
        tensors = []
        for path, future in zip(paths, futures, strict=True):
            try:
                tensors.append(future.result())
            except Exception as error:
                executor.shutdown(cancel_futures=True)
                raise OSError(f"{path}: {error!r}") from error
        return tensors
