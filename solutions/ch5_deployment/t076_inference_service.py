"""076 · 推理服務：參考解"""

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType

import torch
from torch import Tensor, nn


class InferenceService:
    def __init__(self, model: nn.Module, *, max_batch_size: int = 16, max_wait_ms: float = 5.0) -> None:
        self._model, self._size, self._wait = model, max_batch_size, max_wait_ms / 1000
        self._requests = queue.SimpleQueue()
        self._lock, self._closed = threading.Lock(), False
        self._worker = threading.Thread(target=self._serve, daemon=True)
        self._worker.start()

    def submit(self, x: Tensor) -> Future:
        """x (...) 是一筆資料，沒有 batch 維；Future 的結果是模型對它的輸出，也沒有 batch 維。"""
        future = Future()
        with self._lock:  # 檢查與放入之間不能讓 close 插進來，否則這個請求排在結束記號之後，永遠沒人回答
            if self._closed:
                raise RuntimeError("InferenceService 已經關閉")
            self._requests.put((x, future))
        return future

    def predict_many(self, xs: Iterable[Tensor]) -> list[Tensor]:
        """每一筆的輸出，順序與 xs 相同。"""
        futures = [self.submit(x) for x in xs]  # 先全部送出才等，否則每一批只有一筆
        return [future.result() for future in futures]

    def close(self) -> None:
        """回答已經收下的請求，然後結束。"""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._requests.put(None)  # 排在所有收下的請求後面
        self._worker.join()

    def __enter__(self) -> "InferenceService":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        for batch in self._batches():
            self._answer([request for request in batch if request[1].set_running_or_notify_cancel()])

    def _batches(self) -> Iterator[list[tuple[Tensor, Future]]]:
        """從第一個請求起最多等 max_wait_ms，湊滿一批就走。"""
        while (request := self._requests.get()) is not None:
            batch, deadline = [request], time.monotonic() + self._wait
            while len(batch) < self._size:
                try:
                    request = self._requests.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    break
                if request is None:
                    break
                batch.append(request)
            yield batch
            if request is None:
                return

    def _answer(self, batch: list[tuple[Tensor, Future]]) -> None:
        if not batch:
            return
        try:
            with torch.inference_mode():  # grad mode 屬於執行緒：要在工作執行緒裡關
                outputs = self._model(torch.stack([x for x, _ in batch])).unbind()
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            for request in batch if len(batch) > 1 else []:
                self._answer([request])  # 分開再試一次，壞的請求才不會連累別人
        else:
            for (_, future), output in zip(batch, outputs, strict=True):
                future.set_result(output)
