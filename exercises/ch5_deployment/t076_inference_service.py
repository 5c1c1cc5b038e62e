"""076 · 多線程的推理服務，處理多個請求

題目
    線上服務同時收到很多單筆請求。一筆一筆過模型很浪費：把短時間內到的請求湊成一個 batch 一次算完
    （dynamic batching），吞吐量可以高上好幾倍，代價是每個請求多等幾毫秒。

    寫一個多執行緒安全的 InferenceService：任何執行緒都可以 submit，背景的工作執行緒收集請求、
    湊成 batch 呼叫模型，再把各自的輸出交回各自的 Future。一批的規則：

        第一個請求起最多等 max_wait_ms 毫秒，時間到就執行
        湊滿 max_batch_size 筆就立刻執行，不再等；一批不超過 max_batch_size 筆

    常見的錯：在建立服務的執行緒裡關掉梯度。grad mode 是每個執行緒各自的，工作執行緒裡仍會建計算圖。

介面
    InferenceService(model, *, max_batch_size=16, max_wait_ms=5.0)
        model 已在 eval 模式，輸入 (B, ...)、輸出 (B, ...)。
    submit(x) -> concurrent.futures.Future
        x 是一筆資料，沒有 batch 維，與模型在同一個裝置；立刻返回，不等結果。
        Future 的結果是這一筆的輸出（沒有 batch 維）；失敗時帶著模型（或湊 batch 時）拋出的例外。
        close 之後呼叫 submit：拋出 RuntimeError。
    predict_many(xs) -> list[Tensor]
        每一筆的輸出，順序與 xs 相同；也要湊成 batch。xs 是空的就傳回空的 list。
    close()
        不再收新的請求；已經收下的都回答完才返回。之後沒有執行緒留下。
    可當 context manager 用：with 傳回服務本身，離開時 close；區塊裡的例外照樣傳出去。

評分
    數值  每個請求得到自己的答案，與模型單獨算的相差不到 1e-5：一批之內、8 個執行緒共 1,000 個請求、
          predict_many 的順序；一筆是多維的、float64 也是
    梯度  結果不需要梯度；模型執行時 grad mode 是關的
    行為  8 個執行緒只送不等時，平均每次呼叫模型至少 4 筆；一批不超過 max_batch_size；
          兩個請求相隔不到 max_wait_ms，會在同一批；湊滿一批時不再等；
          只有一個請求時，等完 max_wait_ms 後很快有答案；請求陸續到時也從第一個算起，不會一再延長；
          形狀與模型不合的請求只讓自己的 Future 失敗，同一批的其他請求照常；
          模型拋出例外時，那些請求的 Future 帶著那個例外，之後的請求照常服務；
          close 返回時，先前收下的請求都已有正確的答案；submit 拋出 RuntimeError；沒有留下執行緒；
          with 區塊裡的例外照樣傳出去
    速度  1,000 個請求，不超過參考解的 3 倍時間

範例
    >>> with InferenceService(nn.Linear(3, 2).eval()) as service:
    ...     service.submit(torch.zeros(3)).result().shape
    torch.Size([2])

面試追問
    1. max_wait_ms 與 max_batch_size 怎麼影響 p50、p99 延遲與吞吐量？怎麼調？
    2. 請求的長度不一（例如句子）時怎麼湊 batch？
    3. Python 有 GIL，為什麼多執行緒的推理服務仍然有用？什麼時候該改用多行程？
"""

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
        raise NotImplementedError("TODO 076")

    def submit(self, x: Tensor) -> Future:
        """x (...) 是一筆資料，沒有 batch 維；Future 的結果是模型對它的輸出，也沒有 batch 維。"""
        raise NotImplementedError("TODO 076")

    def predict_many(self, xs: Iterable[Tensor]) -> list[Tensor]:
        """每一筆的輸出，順序與 xs 相同。"""
        raise NotImplementedError("TODO 076")

    def close(self) -> None:
        """回答已經收下的請求，然後結束。"""
        raise NotImplementedError("TODO 076")

    def __enter__(self) -> "InferenceService":
        raise NotImplementedError("TODO 076")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError("TODO 076")
