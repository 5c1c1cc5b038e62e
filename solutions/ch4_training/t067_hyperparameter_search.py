"""067 · 超參數搜尋：參考解"""

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
    for values in itertools.product(*space.values()):
        yield dict(zip(space, values, strict=True))


def sample(space: dict, *, generator: torch.Generator) -> dict:
    """照各自的分布抽一組。"""
    params = {}
    for name, choices in space.items():
        u = torch.rand((), dtype=torch.float64, generator=generator).item()  # 每個超參數各抽一次，才會獨立
        if isinstance(choices, list):
            params[name] = choices[int(u * len(choices))]
        elif len(choices) == 2:
            low, high = choices
            params[name] = low + u * (high - low)
        else:
            low, high, _ = choices
            params[name] = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
    return params


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
    if direction not in ("minimize", "maximize"):
        raise ValueError(f"不認得的 direction：{direction!r}")
    if strategy == "grid":
        candidates = itertools.islice(grid(space), n_trials)
    elif strategy == "random":
        if n_trials is None:
            raise ValueError("隨機搜尋需要 n_trials")
        generator = torch.Generator().manual_seed(seed)
        candidates = (sample(space, generator=generator) for _ in range(n_trials))
    else:
        raise ValueError(f"不認得的 strategy：{strategy!r}")

    trials = []
    for params in candidates:
        try:
            value = float(objective(copy.deepcopy(params)))  # 它改動的是自己的那一份
        except Exception:  # 不是 BaseException：Ctrl-C 要能結束搜尋
            value = math.nan
        failed = math.isnan(value)
        trials.append({"params": params, "value": None if failed else value, "state": "failed" if failed else "ok"})
    finished = [trial for trial in trials if trial["state"] == "ok"]
    if not finished:
        raise RuntimeError(f"{len(trials)} 次試驗全部失敗")
    pick = min if direction == "minimize" else max  # 同分時兩者都給最先的一個
    best = pick(finished, key=lambda trial: trial["value"])
    return SearchResult(copy.deepcopy(best["params"]), best["value"], trials)
