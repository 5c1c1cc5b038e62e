"""What code does beside its result: it changes inputs, modes, random streams or global settings, or it raises."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import os
import random
import re
import sys
from collections.abc import Iterator
from typing import Any

from torch_kata.checks.randomness import Rng
from torch_kata.checks.record import CheckFailed, fail, text_evidence
from torch_kata.lazy import np, torch


@contextlib.contextmanager
def unchanged(*objects: Any) -> Iterator[None]:
    """The objects leave the block as they entered it.

    Tensors: values, requires_grad and grad. Modules: state_dict, gradients and the mode of every submodule.
    Arrays, lists, tuples and dicts: their contents, which stay the same objects. Generators: their state. Other
    objects: their attributes, or what their own == says.
    """
    before = [_snapshot(item) for item in objects]
    yield
    for index, (item, old) in enumerate(zip(objects, before, strict=True)):
        name = "輸入" if len(objects) == 1 else f"第 {index + 1} 個輸入"
        if change := _change(old, item):
            raise CheckFailed(f"{name}被改動了：{change}", f"changed {index} {change}")


@contextlib.contextmanager
def same_random_state() -> Iterator[None]:
    """The global random streams of torch, NumPy and random are where they were."""
    before = _random_states()
    yield
    for name, state in _random_states().items():
        if state != before.get(name, state):
            fail(f"全域亂數狀態被動到了：{name}", f"random {name}")


@contextlib.contextmanager
def same_seed(rng: Rng) -> Iterator[None]:
    """torch's global generator is not seeded anew; the block may draw from it."""
    torch.manual_seed(seed := rng.seed())
    yield
    if torch.initial_seed() != seed:
        fail("重設了全域亂數的種子：那是呼叫者的事，初始化、打亂與 dropout 都受它影響", "reseeded")


@contextlib.contextmanager
def raises(kind: type[BaseException] | tuple[type[BaseException], ...], *mentions: object) -> Iterator[None]:
    """The block raises `kind`, with a message in which each of `mentions` stands."""
    names = " 或 ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
    try:
        yield
    except BaseException as error:
        todo = isinstance(error, NotImplementedError) and str(error).startswith("TODO")
        if todo or not isinstance(error, (Exception, *(kind if isinstance(kind, tuple) else (kind,)))):
            raise
        _judge_raised(error, kind, names, mentions)
    else:
        fail(f"應拋出 {names}，卻沒有拋出任何例外", f"no {names}")


def _judge_raised(error: BaseException, kind: Any, names: str, mentions: tuple) -> None:
    if isinstance(error, CheckFailed) and not isinstance(error, kind):
        raise error
    if not isinstance(error, kind):
        found = f"{type(error).__name__}: {error}"
        raise CheckFailed(f"應拋出 {names}，卻拋出 {found[:300]}", text_evidence(f"raised {found}")) from error
    for mention in mentions:
        if str(mention) not in str(error):
            message = f"{type(error).__name__} 的訊息應提到 {mention!r}，得到「{str(error)[:200]}」"
            raise CheckFailed(message, f"silent about {len(mentions)} {text_evidence(str(error))}") from error


def _snapshot(item: Any) -> Any:
    if isinstance(item, torch.nn.Module):
        tensors = {**dict(item.named_parameters(remove_duplicate=False)), **dict(item.named_buffers())}
        modes = {name or type(item).__name__: module.training for name, module in item.named_modules()}
        return {name: _snapshot(tensor) for name, tensor in tensors.items()}, modes
    if isinstance(item, torch.Tensor):
        grad = item.grad.detach().clone() if item.is_leaf and item.grad is not None else None
        return item.detach().clone(), item.requires_grad, grad
    if isinstance(item, np.ndarray):
        return item.copy()
    if isinstance(item, list | tuple):
        return list(item), [_snapshot(part) for part in item]
    if isinstance(item, dict):
        return dict(item), {key: _snapshot(part) for key, part in item.items()}
    return _snapshot(_state(item)) if _has_state(item) else copy.deepcopy(item)


def _has_state(item: Any) -> bool:
    return type(item).__eq__ is object.__eq__ or dataclasses.is_dataclass(item)


def _state(item: Any) -> Any:
    """What stands for an object whose == says nothing about its contents."""
    if isinstance(item, torch.Generator):
        return item.get_state()
    return {} if callable(item) else dict(getattr(item, "__dict__", {}))


def _change(old: Any, item: Any) -> str:
    """What is different about `item` now, in words; empty if nothing."""
    if isinstance(item, torch.nn.Module):
        tensors, modes = old
        now = {**dict(item.named_parameters(remove_duplicate=False)), **dict(item.named_buffers())}
        if differing := sorted(set(now) ^ set(tensors)):
            return f"模型的參數或 buffer {differing[0]} {'不見了' if differing[0] in tensors else '是多出來的'}"
        for name, tensor in now.items():
            if change := _change(tensors[name], tensor):
                return f"模型的 {name} {change}"
        for name, module in item.named_modules():
            name = name or type(item).__name__
            if modes.get(name) != module.training:
                return f"{name}.training 由 {modes.get(name)} 變成 {module.training}"
        return ""
    if isinstance(item, torch.Tensor):
        values, requires_grad, grad = old
        if item.shape != values.shape or item.dtype != values.dtype:
            return f"形狀或 dtype 變成 {tuple(item.shape)} {item.dtype}"
        if item.requires_grad != requires_grad:
            return f"requires_grad 由 {requires_grad} 變成 {item.requires_grad}"
        if not _same_values(item.detach(), values):
            return "數值變了"
        now = item.grad if item.is_leaf else None
        if (now is None) != (grad is None) or (grad is not None and not _same_values(now, grad)):
            return "grad 變了"
        return ""
    if isinstance(item, np.ndarray):
        return "" if np.array_equal(old, item, equal_nan=item.dtype.kind in "fc") else "數值變了"
    if isinstance(item, list | tuple):
        objects, parts = old
        if len(objects) != len(item) or not all(map(_same_object, objects, item)):
            return "元素的個數或順序變了"
        changes = (_change(part, now) for part, now in zip(parts, item, strict=True))
        return next(filter(None, changes), "")
    if isinstance(item, dict):
        objects, parts = old
        if len(objects) != len(item) or not all(map(_same_object, objects, item)):
            return "鍵變了"
        for key, now in item.items():
            if not _same_object(objects[key], now):
                return f"{key!r} 換成了別的值"
            if change := _change(parts[key], now):
                return f"{key!r} 的{change}"
        return ""
    if _has_state(item):
        return _change(old, _state(item))
    return "" if old == item else "內容變了"


def _same_object(old: Any, now: Any) -> bool:
    return old is now or (isinstance(old, int | float | str | bytes | None) and type(old) is type(now) and old == now)


def _same_values(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())


def _random_states() -> dict[str, Any]:
    state = np.random.get_state()
    states = {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy.random": (state[0], state[1].tobytes(), *state[2:]),
        "random": random.getstate(),
    }
    if torch.cuda.is_initialized():
        states["torch.cuda"] = [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states


def global_settings() -> dict[str, Any]:
    """The settings that no answer may leave changed, by the name a learner knows them by."""
    settings = {
        "torch.get_default_dtype()": torch.get_default_dtype(),
        "torch.is_grad_enabled()": torch.is_grad_enabled(),
        "torch.is_inference_mode_enabled()": torch.is_inference_mode_enabled(),
        "torch.get_num_threads()": torch.get_num_threads(),
        "torch.get_default_device()": str(torch.get_default_device()),
        "torch.are_deterministic_algorithms_enabled()": torch.are_deterministic_algorithms_enabled(),
        "torch.is_anomaly_enabled()": torch.is_anomaly_enabled(),
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
        "os.getcwd()": os.getcwd(),
        "sys.getrecursionlimit()": sys.getrecursionlimit(),
        "os.environ": {
            k: v for k, v in os.environ.items() if not re.match("PYTEST_|COLUMNS|LINES|KMP_|TORCHINDUCTOR", k)
        },
    }
    if "matplotlib.pyplot" in sys.modules:
        settings["開著的 matplotlib 圖"] = tuple(sys.modules["matplotlib.pyplot"].get_fignums())
    return settings


def restore_settings(settings: dict[str, Any]) -> None:
    """Puts the settings back, so that the next check starts as this one did."""
    torch.set_default_dtype(settings["torch.get_default_dtype()"])
    torch.set_grad_enabled(settings["torch.is_grad_enabled()"])
    torch.set_num_threads(settings["torch.get_num_threads()"])
    if str(torch.get_default_device()) != (device := settings["torch.get_default_device()"]):
        torch.set_default_device(None if device == "cpu" else device)
    torch.use_deterministic_algorithms(settings["torch.are_deterministic_algorithms_enabled()"])
    torch.autograd.set_detect_anomaly(settings["torch.is_anomaly_enabled()"])
    torch.backends.cudnn.benchmark = settings["torch.backends.cudnn.benchmark"]
    os.chdir(settings["os.getcwd()"])
    sys.setrecursionlimit(settings["sys.getrecursionlimit()"])
    for name in set(os.environ) - set(settings["os.environ"]):
        if name not in settings["os.environ"] and not name.startswith(("PYTEST_", "KMP_")):
            del os.environ[name]
    os.environ.update(settings["os.environ"])
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def changed_setting(before: dict[str, Any]) -> str:
    """The first global setting that is not as it was, in words; empty if all are."""
    for name, now in global_settings().items():
        old = before.get(name, () if name.startswith("開著") else None)
        if now == old:
            continue
        if name == "os.environ":
            keys = sorted(k for k in {*now, *old} if now.get(k) != old.get(k))
            return f"環境變數 {'、'.join(keys)} 被改動了"
        return f"全域設定 {name} 由 {old} 變成 {now}，而且沒有還原"
    return ""
