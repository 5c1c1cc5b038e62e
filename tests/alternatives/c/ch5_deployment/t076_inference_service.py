"""Task 076 with queue.Queue, no_grad, a stop event and one lock-free drain; one thread collects, another computes."""

import queue
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import torch

STOP = object()


class InferenceService:
    def __init__(self, model, *, max_batch_size=16, max_wait_ms=5.0):
        self.model, self.max_batch_size, self.max_wait_ms = model, max_batch_size, max_wait_ms
        self.inbox = queue.Queue()
        self.gate = threading.RLock()
        self.stopped = False
        self.pool = ThreadPoolExecutor(max_workers=1)
        self.collector = threading.Thread(target=self.collect)
        self.collector.start()

    def submit(self, x):
        with self.gate:
            if self.stopped:
                raise RuntimeError("the service is closed")
            f = Future()
            self.inbox.put((x, f))
            return f

    def collect(self):
        stop = False
        while not stop:
            item = self.inbox.get()
            if item is STOP:
                break
            batch = [item]
            end = time.monotonic() + self.max_wait_ms / 1000
            while len(batch) < self.max_batch_size and not stop:
                left = end - time.monotonic()
                try:
                    item = self.inbox.get(timeout=left) if left > 0 else self.inbox.get_nowait()
                except queue.Empty:
                    break
                if item is STOP:
                    stop = True
                else:
                    batch.append(item)
            self.pool.submit(self.compute, batch)

    def compute(self, batch):
        for x, _ in batch:
            if x.shape != batch[0][0].shape:  # odd ones out: each alone
                for one_x, one_f in batch:
                    self.forward([one_x], [one_f])
                return
        self.forward([x for x, _ in batch], [f for _, f in batch])

    def forward(self, xs, futures):
        try:
            with torch.no_grad():
                ys = self.model(torch.stack(xs))
        except Exception as error:
            for f in futures:
                f.set_exception(error)
        else:
            for i, f in enumerate(futures):
                f.set_result(ys[i])

    def predict_many(self, xs):
        return [f.result() for f in [self.submit(x) for x in xs]]

    def close(self):
        with self.gate:
            self.stopped = True
            self.inbox.put(STOP)
        self.collector.join()
        self.pool.shutdown(wait=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
