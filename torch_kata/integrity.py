"""Whether the learner's code tampers with what the checks rely on, and what it may not read."""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from torch_kata.checks import learner

# What a cheat, or an accident, would patch: comparison, timers, random sources, pytest and the engine itself.
WATCHED = """
    torch torch.testing torch.testing._comparison torch.nn torch.nn.functional torch.autograd torch.autograd.gradcheck
    torch.Tensor torch.nn.Module torch.random torch.linalg torch.optim torch.overrides numpy numpy.random numpy.testing
    time random math threading subprocess multiprocessing unittest.mock pytest _pytest.runner _pytest.outcomes
    _pytest.reports torch_kata.checks torch_kata.checks.record torch_kata.checks.closeness torch_kata.checks.gradients
    torch_kata.checks.effects torch_kata.checks.calls torch_kata.checks.speed torch_kata.checks.randomness
    torch_kata.checks.memory torch_kata.checks.processes torch_kata.checks.learner torch_kata.plugin torch_kata.explain
    torch_kata.submission
""".split()  # noqa: SIM905


class Seal:
    """The callables of the watched modules as they were; torch may add attributes of its own, but replaces none."""

    def __init__(self) -> None:
        self.known = [(name, owner, _callables(owner)) for name, owner in _owners()]

    def broken(self) -> str:
        """What was replaced, by name, after putting it back; empty if nothing."""
        found = []
        for name, owner, callables in self.known:
            now = vars(owner)
            if all(now.get(key) is original for key, original in callables.items()):
                continue
            for key, original in callables.items():
                if now.get(key) is not original and not _by_torch_itself(now.get(key), original):
                    found.append(f"{name}.{key}")
                    setattr(owner, key, original)
        return "、".join(found[:3])


def _by_torch_itself(now: Any, original: Any) -> bool:
    """torch wraps a few of its own functions once its compiler is imported: same name, code of its own folder."""
    code = getattr(now, "__code__", None)
    folder = os.path.dirname(sys.modules["torch"].__file__)
    same_name = getattr(now, "__name__", None) == getattr(original, "__name__", "")
    return code is not None and same_name and code.co_filename.startswith(folder)


def _owners() -> Iterable[tuple[str, Any]]:
    yield "builtins", builtins
    for name in WATCHED:
        module = sys.modules.get(name)
        if module is None:
            try:
                module = importlib.import_module(name)
            except ImportError:
                parent, _, attribute = name.rpartition(".")
                module = getattr(sys.modules.get(parent), attribute, None)
        if module is not None:
            yield name, module


def _callables(owner: Any) -> dict[str, Any]:
    return {
        key: value
        for key, value in vars(owner).items()
        if callable(value)
        and not isinstance(value, ModuleType)
        and (not key.startswith("__") or isinstance(owner, type))
    }


class Secrets:
    """An audit hook that refuses the learner's code the folders of the solutions and the graders."""

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
            kind = "參考解" if f"{os.sep}solutions{os.sep}" in full else "評分程式"
            raise PermissionError(f"評分時不能讀取{kind}：{full.rstrip(os.sep)}")


secrets = Secrets()
