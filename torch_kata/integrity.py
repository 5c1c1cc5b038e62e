"""Whether the learner's code tampers with what the checks rely on, and what it may not read."""

from __future__ import annotations

import builtins
import importlib
import math
import operator
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from torch_kata.checks import learner, record

# What a cheat, or an accident, would patch: comparison, timers, random sources, pytest, and what carries the result.
# The engine's own modules are watched too, all of them.
WATCHED = """
    torch torch.testing torch.testing._comparison torch.nn torch.nn.modules.module torch.nn.functional torch.autograd
    torch.autograd.gradcheck torch.random torch.linalg torch.optim torch.optim.optimizer torch.overrides numpy
    numpy.random numpy.testing time random math operator threading subprocess multiprocessing unittest.mock sys os
    os.path signal socket hmac zlib json json.encoder dataclasses copy re inspect traceback linecache contextlib
    functools pathlib pytest _pytest.runner _pytest.outcomes _pytest.reports _pytest.main _pytest.python _pytest.raises
    pluggy._manager pluggy._hooks pluggy._callers pluggy._result pytest_timeout
""".split()  # noqa: SIM905

# Whose classes and functions are looked into: what a check's result passes through, and what it is compared with.
_INSIDE = (__package__, "_pytest", "pluggy", "pytest_timeout", "json", "torch.nn", "torch.testing")

# What every check looks at again: comparison, and what carries its outcome. The others wait until the run ends.
_QUICK = """
    builtins torch torch.Tensor torch.nn.Module torch.testing time random json signal _pytest.runner.CallInfo
    _pytest.reports.TestReport torch_kata.plugin torch_kata.explain torch_kata.checks torch_kata.checks.closeness
    torch_kata.checks.gradients torch_kata.checks.effects torch_kata.checks.calls torch_kata.checks.record
    torch_kata.checks.speed torch_kata.checks.learner torch_kata.runner.child.Reporter torch_kata.runner.request.Channel
""".split()  # noqa: SIM905

# pytest sets the interpreter's hooks and takes them back; the answer at hand is looked at by `switches`.
_CHANGING = ("excepthook", "unraisablehook", "breakpointhook", "displayhook", "FILES", "REFERENCES")
_IMMUTABLE_TYPE = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE


def seal(*modules: ModuleType) -> Callable[[bool], str]:
    """A function that names what was replaced since now, after putting it back; it gives "" if nothing was.

    It looks at the callables of `modules`, or of the watched ones; of some it also looks at the code, and at the
    methods of the classes; in the engine at constants too. torch may add attributes, and wraps some functions itself.
    Unless it is told to be thorough it looks at what matters most: a tenth of the time, and every check takes it.
    """
    # A closure with references of its own to all it calls: no attribute of a module leads to it.
    every, pull, same, length, pair, put, take = all, map, operator.is_, len, zip, setattr, delattr
    by_torch, inherited, tolerant = _by_torch_itself, _inherited, suppress(TypeError, AttributeError)
    owners, functions, tables = [], {}, []
    for name, owner in _owners(modules or _watched()):
        values = _relied_on(name, owner)
        knows_all = frozenset(vars(owner)).issuperset if isinstance(owner, type) else None
        owners.append((name, owner, vars(owner), [*values], [*values.values()], knows_all))
        for key, value in values.items():
            label, function = f"{name}.{key}", getattr(value, "__func__", value)
            if isinstance(function, FunctionType) and _is_looked_into(name):
                functions[function] = label
                tables.append((label, function.__kwdefaults__ or {}))
            elif isinstance(value, dict) and (key.isupper() or key.startswith("_global_")):
                tables.append((label, value))
    quick = [owner for owner in owners if modules or owner[0] in _QUICK]
    states = [(f, label, f.__code__, f.__defaults__, f.__kwdefaults__) for f, label in functions.items()]
    tables = [(label, table, [*table], [*table.values()]) for label, table in tables if table or "_global_" in label]

    def broken(thorough: bool) -> str:
        found = []
        for name, owner, now, keys, originals, knows_all in owners if thorough else quick:
            if not every(pull(same, pull(now.get, keys), originals)):
                for key, original in pair(keys, originals):
                    if now.get(key) is not original and not by_torch(now.get(key), original):
                        found.append(f"{name}.{key}")
                        with tolerant:
                            put(owner, key, original)
            if knows_all and not knows_all(now):  # an attribute of a class hides one that it inherited
                for key in [*now]:
                    if (
                        not knows_all((key,))
                        and (original := inherited(owner, key))
                        and not by_torch(now[key], original)
                    ):
                        found.append(f"{name}.{key}")
                        take(owner, key)
        for function, label, code, defaults, keywords in states if thorough else ():
            if not (function.__code__ is code and function.__defaults__ is defaults):
                found.append(label)
                function.__code__, function.__defaults__ = code, defaults
            if function.__kwdefaults__ is not keywords:
                found.append(label)
                function.__kwdefaults__ = keywords
        for label, table, keys, values in tables if thorough else ():
            if length(table) != length(keys) or not every(pull(same, pull(table.get, keys), values)):
                found.append(label)
                table.clear()
                table.update(pair(keys, values))
        return "、".join(found[:3])

    return broken


def _watched() -> list[ModuleType]:
    """Those that are there: what nobody has imported, the engine does not call."""
    for name in ("torch", "numpy.random"):
        importlib.import_module(name)
    engine = sorted(name for name in sys.modules if name.partition(".")[0] == __package__)
    return [builtins, *(sys.modules[name] for name in [*WATCHED, *engine] if name in sys.modules)]


def _owners(modules: Iterable[ModuleType]) -> Iterator[tuple[str, Any]]:
    """The modules, and the classes they define, each once."""
    seen = set()
    for module in modules:
        name = module.__name__
        yield name, module
        for key, value in [*vars(module).items()]:
            if not isinstance(value, type) or value in seen or value.__flags__ & _IMMUTABLE_TYPE:
                continue
            own = value.__module__ == name or (name == "torch.nn" and value.__module__.startswith(name))
            if (_is_looked_into(name) and own) or (name, key) == ("torch", "Tensor"):
                seen.add(value)
                yield f"{name}.{key}", value


def _is_looked_into(name: str) -> bool:
    return name.startswith(_INSIDE)


def _relied_on(name: str, owner: Any) -> dict[str, Any]:
    everything = name.partition(".")[0] == __package__
    return {key: value for key, value in vars(owner).items() if _matters(key, value, owner, everything)}


def _matters(key: str, value: Any, owner: Any, everything: bool) -> bool:
    if key in _CHANGING:
        return False
    if isinstance(owner, type):
        if owner.__module__.startswith("torch.nn") and owner.__name__ != "Module":
            return key == "forward"
        return callable(value) or hasattr(type(value), "__get__")
    if key.startswith("__"):
        return owner is builtins and callable(value)
    kinds = (sys.modules["torch"].dtype, dict) if key.startswith("_global_") else sys.modules["torch"].dtype
    return everything or isinstance(value, kinds) or (callable(value) and not isinstance(value, ModuleType))


def _inherited(owner: type, key: str) -> Any:
    """What a class would have by this name but for its own attribute; None if nothing that can be called."""
    found = next((vars(base)[key] for base in owner.__mro__[1:] if key in vars(base)), None)
    return found if callable(found) or hasattr(type(found), "__get__") else None


def _by_torch_itself(now: Any, original: Any) -> bool:
    """torch wraps a few of its own functions once its compiler is imported: like name, code of its own folder."""
    code, name = getattr(now, "__code__", None), getattr(original, "__name__", "")
    folder = os.path.dirname(sys.modules["torch"].__file__)
    like_name = getattr(now, "__name__", None) in (name, f"patched_{name.strip('_')}")
    return code is not None and like_name and code.co_filename.startswith(folder)


def switches() -> dict[str, Any]:
    """What of the interpreter and of the engine decides who sees whose calls, and what is taken for the learner's."""
    torch = sys.modules["torch"]
    return {
        "sys.settrace": sys.gettrace(),
        "sys.setprofile": sys.getprofile(),
        "sys.stdout": sys.stdout,
        "sys.stderr": sys.stderr,
        "TorchFunctionMode": torch._C._len_torch_function_stack(),
        "TorchDispatchMode": torch._C._len_torch_dispatch_stack(),
        "torch_kata": (learner.FILES.copy(), record.current.bench, secrets.folders),
    }


def switched(before: dict[str, Any]) -> str:
    """The first switch that is not as it was, after all were put back; empty if none."""
    torch = sys.modules["torch"]
    now = switches()
    found = [name for name, old in before.items() if now[name] is not old and now[name] != old]
    if not found:
        return ""
    sys.settrace(before["sys.settrace"])
    sys.setprofile(before["sys.setprofile"])
    sys.stdout, sys.stderr = before["sys.stdout"], before["sys.stderr"]
    while torch._C._len_torch_function_stack() > before["TorchFunctionMode"]:
        torch._C._pop_torch_function_stack()
    while torch._C._len_torch_dispatch_stack() > before["TorchDispatchMode"]:
        torch._C._pop_torch_dispatch_stack(None)
    files, record.current.bench, secrets.folders = before["torch_kata"]
    learner.FILES.clear()
    learner.FILES.update(files)
    return found[0]


def is_blind() -> bool:
    """Whether a comparison no longer sees a difference, by whatever means: an operator itself can be replaced."""
    torch = sys.modules["torch"]
    for dtype in (torch.float32, torch.float64, torch.int64):
        found, wanted = torch.tensor([1, 5], dtype=dtype), torch.tensor([1, 2], dtype=dtype)
        near, same = (found - wanted).abs() <= 1, found == wanted
        if [near.tolist(), same.tolist(), (found != wanted).tolist()] != [[True, False], [True, False], [False, True]]:
            return True
        if bool(near.all()) or not bool((~same).any()) or torch.equal(found, wanted):
            return True
    return torch.isfinite(torch.tensor([1.0, math.nan, math.inf])).tolist() != [True, False, False]


class Secrets:
    """An audit hook that refuses the learner's code the folders of the graders and of other answers."""

    def __init__(self) -> None:
        self.folders: tuple[str, ...] = ()
        self.installed = False

    def protect(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(os.path.join(os.path.realpath(folder), "") for folder in folders)
        if not self.installed:
            sys.addaudithook(self._audit)
            self.installed = True

    def _audit(self, event: str, arguments: tuple) -> None:
        if event not in ("open", "os.listdir", "os.scandir") or not self.folders:
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        full = os.path.join(os.path.abspath(os.fsdecode(path)), "")
        if full.startswith(self.folders) and learner.is_calling(sys._getframe(1)):
            raise PermissionError(f"評分時不能讀取評分程式與其他解答：{full.rstrip(os.sep)}")


secrets = Secrets()
