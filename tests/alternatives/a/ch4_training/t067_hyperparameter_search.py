"""067 · another style: recursion for the grid, torch's own samplers, the best kept on the way."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class SearchResult:
    best_params: dict
    best_value: float
    trials: list


def grid(space):
    if not space:
        yield {}
        return
    *rest, last = space
    for params in grid({name: space[name] for name in rest}):
        for value in space[last]:
            yield {**params, last: value}


def sample(space, *, generator):
    def draw(spec):
        if isinstance(spec, list):
            return spec[torch.randint(len(spec), (1,), generator=generator).item()]
        bounds = torch.tensor(spec[:2], dtype=torch.float64)
        logarithmic = len(spec) == 3
        low, high = bounds.log() if logarithmic else bounds
        x = torch.empty((), dtype=torch.float64).uniform_(0, 1, generator=generator) * (high - low) + low
        return (x.exp() if logarithmic else x).clamp(*bounds).item()

    return {name: draw(spec) for name, spec in space.items()}


def search(objective, space, *, strategy="grid", n_trials=None, seed=0, direction="minimize"):
    sign = {"minimize": 1, "maximize": -1}.get(direction)
    if sign is None:
        raise ValueError(f"direction must be minimize or maximize, not {direction}")
    if strategy not in {"grid", "random"} or (strategy == "random" and n_trials is None):
        raise ValueError(f"strategy {strategy}, n_trials {n_trials}")
    generator = torch.Generator()
    generator.manual_seed(seed)
    points = grid(space) if strategy == "grid" else iter(lambda: sample(space, generator=generator), None)
    trials, best = [], None
    for params in points:
        if n_trials is not None and len(trials) == n_trials:
            break
        trial = {"params": dict(params), "value": float("nan"), "state": "failed"}
        try:
            trial["value"] = objective(params)
        except Exception as error:
            print("failed:", error)
        if trial["value"] == trial["value"]:
            trial["state"] = "ok"
            if best is None or sign * trial["value"] < sign * best["value"]:
                best = trial
        trials.append(trial)
    if best is None:
        raise RuntimeError("every trial failed")
    return SearchResult(best["params"], best["value"], trials)
