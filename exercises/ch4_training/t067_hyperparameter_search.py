"""067 · 模型的超參數調優

題目
    寫兩種最基本的超參數搜尋：網格（每種組合都試一次）與隨機（各自照一個分布抽）。

    空間是 dict，鍵是超參數的名稱，值是下列之一：
        list                  從中選一個，機會均等；網格只用這種
        (low, high)           在 [low, high] 上均勻
        (low, high, "log")    對數均勻：log x 在 [log low, log high] 上均勻，low > 0。學習率常跨好幾個數量級，
                              照一般的均勻分布抽，(1e-5, 1e-1) 有九成的機會大於 0.01

    搜尋要經得起失敗：一次試驗 CUDA 記憶體不足，或損失變成 NaN，其餘的仍要跑完。
    而 NaN 與任何數比大小都是 False，直接用 min() 或 max() 挑最好的，NaN 排在第一個時就會贏。

介面
    grid(space) -> Iterator[dict]
        每種組合恰好一次，順序不限。逐個產生，不先把全部的組合列出來（組合數可能是天文數字）。每個 dict 都是新的。
    sample(space, *, generator) -> dict
        抽一組，各超參數互相獨立。list 的選項原樣傳回，其餘兩種是 Python 的 float。
        亂數只來自 generator（CPU 上的 torch.Generator），不動到全域的亂數。
    search(objective, space, *, strategy="grid", n_trials=None, seed=0, direction="minimize") -> SearchResult
        objective    收一個參數的 dict，傳回一個 float。它可能改動收到的 dict，也可能自己用全域的亂數。
        strategy     "grid"：照 grid 的順序，最多 n_trials 次（None 是全部）；
                     "random"：sample n_trials 次，由 seed 決定；這時沒有 n_trials 就拋出 ValueError。
        direction    "minimize" 或 "maximize"。
        不認得的 strategy 或 direction：拋出 ValueError，訊息含那個值，objective 一次也不呼叫。
        拋出例外（Exception）或傳回 NaN 的試驗記為失敗，絕不是最好的；全部失敗時拋出 RuntimeError。
        KeyboardInterrupt（Ctrl-C）照樣結束搜尋。
    SearchResult
        best_params、best_value   最好的那次試驗；同分時是最先的那一次
        trials                    依序每次試驗的 dict：params（交給 objective 的值）、value、state（"ok" 或 "failed"）；
                                  失敗的 value 是 None 或 NaN

評分
    形狀  SearchResult 的內容
    數值  grid 每種組合恰好一次；sample 服從各自的分布（KS 檢定、卡方檢定），互相獨立
    行為  grid 逐個產生，n_trials 截斷時也是；同一個 generator 狀態、同一個 seed 得到同樣的結果，不同的 seed 不同，
          不受 objective 用的亂數影響，也不動到全域的亂數；隨機搜尋的各次試驗各不相同；
          兩個方向，同分取最先；失敗不中斷、不會贏；全部失敗；Ctrl-C；不合法的參數；
          objective 改動 dict 不影響記錄、之後的試驗與 space

範例
    >>> def objective(params):
    ...     return (params["x"] - 2) ** 2 + params["y"]
    >>> result = search(objective, {"x": [0, 1, 2, 3], "y": [0.5, 0.25]})
    >>> result.best_params, result.best_value, len(result.trials)
    ({'x': 2, 'y': 0.25}, 0.25, 8)
    >>> space = {"lr": (1e-5, 1e-1, "log"), "layers": [1, 2, 3]}
    >>> params = sample(space, generator=torch.Generator().manual_seed(0))
    >>> 1e-5 <= params["lr"] <= 1e-1, params["layers"] in space["layers"]
    (True, True)

面試追問
    1. 只有少數超參數重要時，為什麼隨機搜尋比同樣次數的網格好？
    2. 貝氏最佳化、Hyperband（successive halving）各利用了什麼資訊？
    3. 用驗證集挑出最好的超參數之後，那個驗證分數為什麼太樂觀？
"""

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch


@dataclass
class SearchResult:
    best_params: dict
    best_value: float
    trials: list[dict] = field(default_factory=list)


def grid(space: dict[str, list]) -> Iterator[dict]:
    """每種組合恰好一次，逐個產生。"""
    raise NotImplementedError("TODO 067")


def sample(space: dict, *, generator: torch.Generator) -> dict:
    """照各自的分布抽一組。"""
    raise NotImplementedError("TODO 067")


def search(
    objective: Callable[[dict], float],
    space: dict,
    *,
    strategy: str = "grid",
    n_trials: int | None = None,
    seed: int = 0,
    direction: str = "minimize",
) -> SearchResult:
    """試過各組超參數，傳回最好的一組與每次試驗的記錄。"""
    raise NotImplementedError("TODO 067")
