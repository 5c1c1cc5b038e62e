"""Task 076 with a condition and a list, and requests of different shapes in different batches."""

import threading
import time
from collections import defaultdict
from concurrent.futures import Future

import torch


class InferenceService:
    def __init__(self, model, *, max_batch_size=16, max_wait_ms=5.0):
        self.model = model
        self.max_batch_size = max_batch_size
        self.max_wait = max_wait_ms * 1e-3
        self.pending = []
        self.changed = threading.Condition()
        self.open = True
        self.thread = threading.Thread(target=self.loop, name="inference")
        self.thread.start()

    def submit(self, x):
        future = Future()
        with self.changed:
            if not self.open:
                raise RuntimeError("closed")
            self.pending.append((time.perf_counter(), x, future))
            self.changed.notify()
        return future

    def predict_many(self, xs):
        return [f.result() for f in list(map(self.submit, xs))]

    def loop(self):
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.pending or not self.open)
                if not self.pending:
                    return
                oldest = self.pending[0][0]
                while self.open and len(self.pending) < self.max_batch_size:
                    left = oldest + self.max_wait - time.perf_counter()
                    if left <= 0 or not self.changed.wait(left):
                        break
                batch = self.pending[: self.max_batch_size]
                del self.pending[: self.max_batch_size]
            groups = defaultdict(list)
            for _, x, future in batch:
                groups[x.shape, x.dtype].append((x, future))
            for group in groups.values():
                self.run(group)

    @torch.no_grad()
    def run(self, group):
        try:
            results = self.model(torch.stack([x for x, _ in group]))
            for (_, future), result in zip(group, results, strict=True):
                future.set_result(result)
        except Exception as e:
            for _, future in group:
                if not future.done():
                    future.set_exception(e)

    def close(self):
        with self.changed:
            self.open = False
            self.changed.notify_all()
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
