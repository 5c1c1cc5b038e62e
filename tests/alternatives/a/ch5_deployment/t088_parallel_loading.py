"""Task 088: processes and queues of its own, the paths handed out one at a time."""

import queue
import traceback

import torch.multiprocessing as multiprocessing


def worker(load_fn, jobs, results, done):
    while True:
        job = jobs.get()
        if job is None:
            break
        number, path = job
        try:
            results.put((number, load_fn(path), None))
        except Exception:
            results.put((number, None, f"{path}\n{traceback.format_exc()}"))
    done.wait()  # the tensors' memory is handed over by this process


def parallel_load(paths, load_fn, *, num_workers=2):
    if not paths:
        return []
    context = multiprocessing.get_context()
    jobs, results, done = context.Queue(), context.Queue(), context.Event()
    count = min(num_workers, len(paths))
    processes = [context.Process(target=worker, args=(load_fn, jobs, results, done), daemon=True) for _ in range(count)]
    loaded = {}
    try:
        for process in processes:
            process.start()
        for job in [*enumerate(paths), *[None] * count]:
            jobs.put(job)
        while len(loaded) < len(paths):
            try:
                number, tensor, error = results.get(timeout=0.5)
            except queue.Empty:
                dead = [process for process in processes if process.exitcode is not None]
                if dead:
                    raise RuntimeError(f"a worker died with {dead[0].exitcode}") from None
                continue
            if error is not None:
                raise RuntimeError(f"could not load {error}")
            loaded[number] = tensor
        done.set()
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()
        for each in (jobs, results):
            each.cancel_join_thread()
            each.close()
    return [loaded[number] for number in range(len(paths))]
