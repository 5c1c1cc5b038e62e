"""Task 076 with an event loop in a thread: requests gather in a list, which a timer or its length sends on."""

import asyncio
import threading
from concurrent.futures import Future

import torch


class InferenceService:
    def __init__(self, model, *, max_batch_size=16, max_wait_ms=5.0):
        self.model, self.max_batch_size, self.wait = model, max_batch_size, max_wait_ms / 1000
        self.closed, self.lock = False, threading.Lock()
        self.loop = asyncio.new_event_loop()
        self.batch, self.timer = [], None
        self.thread = threading.Thread(target=self.run_forever, daemon=True)
        self.thread.start()

    def run_forever(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.close()

    def submit(self, x):
        future = Future()
        with self.lock:
            if self.closed:
                raise RuntimeError("submit after close")
            self.loop.call_soon_threadsafe(self.add, x, future)
        return future

    def add(self, x, future):
        self.batch.append((x, future))
        if len(self.batch) >= self.max_batch_size:
            self.flush()
        elif self.timer is None:
            self.timer = self.loop.call_later(self.wait, self.flush)

    def flush(self):
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        batch, self.batch = self.batch, []
        if batch:
            self.infer(batch)

    def infer(self, batch):
        inputs = [x for x, _ in batch]
        try:
            with torch.inference_mode():
                outputs = self.model(torch.stack(inputs))
            outputs = [output.clone() for output in outputs]
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
                return
            middle = len(batch) // 2  # the bad one is found by halving
            self.infer(batch[:middle])
            self.infer(batch[middle:])
            return
        for (_, future), output in zip(batch, outputs, strict=True):
            future.set_result(output)

    def predict_many(self, xs):
        futures = [self.submit(x) for x in xs]
        return [future.result() for future in futures]

    def close(self):
        with self.lock:
            if self.closed:
                return
            self.closed = True
            self.loop.call_soon_threadsafe(self.flush)
            self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
