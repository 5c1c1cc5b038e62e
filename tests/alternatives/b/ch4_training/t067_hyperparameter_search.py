"""067 · another style: a mixed-radix counter for the grid, a NamedTuple as result, sorting with an index."""

import math
from typing import NamedTuple

import torch


class SearchResult(NamedTuple):
    best_params: dict
    best_value: float
    trials: list


def grid(space):
    names = list(space)
    total = math.prod(len(space[n]) for n in names)

    def decode(code):
        params = {}
        for n in names:
            code, digit = divmod(code, len(space[n]))
            params[n] = space[n][digit]
        return params

    return map(decode, range(total))


def sample(space, *, generator):
    uniforms = torch.rand(len(space), generator=generator, dtype=torch.double).tolist()
    out = {}
    for (name, spec), u in zip(space.items(), uniforms, strict=True):
        match spec:
            case list():
                out[name] = spec[math.floor(len(spec) * u)]
            case (low, high):
                out[name] = (1 - u) * low + u * high
            case (low, high, "log"):
                out[name] = low * (high / low) ** u
    return out


def search(objective, space, *, strategy="grid", n_trials=None, seed=0, direction="minimize"):
    if direction == "minimize":
        factor = 1.0
    elif direction == "maximize":
        factor = -1.0
    else:
        raise ValueError("unknown direction " + repr(direction))
    if strategy == "random":
        if not isinstance(n_trials, int):
            raise ValueError("n_trials is needed")
        g = torch.Generator().manual_seed(seed)
        queue = [sample(space, generator=g) for _ in range(n_trials)]
    elif strategy == "grid":
        queue = (p for p, _ in zip(grid(space), range(n_trials if n_trials is not None else 10**18)))  # noqa: B905
    else:
        raise ValueError("unknown strategy " + repr(strategy))
    trials = [run(objective, p) for p in queue]
    ranking = sorted((factor * t["value"], i) for i, t in enumerate(trials) if t["state"] == "ok")
    if not ranking:
        raise RuntimeError("nothing worked")
    winner = trials[ranking[0][1]]
    return SearchResult(winner["params"], winner["value"], trials)


def run(objective, params):
    record = {"params": params, "value": None, "state": "failed"}
    try:
        value = objective(params.copy())
        if not math.isnan(value):
            record.update(value=value, state="ok")
    except Exception:
        pass
    return record
