"""Memory that code takes: private pages of this process, and bytes of live tensors."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import CellType, FunctionType, MethodType
from typing import Any

import psutil

from torch_kata.checks.record import fail
from torch_kata.lazy import torch


@dataclass
class Growth:
    """Bytes of private memory above the start, at the worst moment."""

    peak: int = 0


def private_bytes() -> int:
    """Private memory of this process: anonymous pages on Linux (mapped files do not count), else its resident set."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return psutil.Process().memory_info().rss


@contextlib.contextmanager
def assert_memory_growth(megabytes: float, poll: float = 0.005) -> Iterator[Growth]:
    """Private memory grows by less than `megabytes` MiB while the block runs."""
    _trim()
    growth, done, start = Growth(), threading.Event(), private_bytes()

    def watch() -> None:
        while not done.wait(poll):
            growth.peak = max(growth.peak, private_bytes() - start)

    watcher = threading.Thread(target=watch, name="torch-kata-memory", daemon=True)
    watcher.start()
    try:
        yield growth
    finally:
        growth.peak = max(growth.peak, private_bytes() - start)
        done.set()
        watcher.join()
    if growth.peak >= megabytes * 2**20:
        fail(f"記憶體增加了 {growth.peak / 2**20:.0f} MiB，上限是 {megabytes:g} MiB", "memory")


def _trim() -> None:
    """Gives freed memory back to the system: what is handed out again would not show as growth."""
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):  # glibc's own
        ctypes.CDLL(None).malloc_trim(0)


def tensor_bytes(*tensors: torch.Tensor) -> int:
    """Bytes of the tensors' elements."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def held_bytes(thing: Any) -> int:
    """Bytes of the tensors that a module or container holds: in attributes, containers, closures, tensor subclasses.

    Each storage counts once. What C++ objects hold, such as packed weights, is not seen.
    """
    storages: dict[int, int] = {}
    seen: dict[int, Any] = {}
    waiting = [thing]
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item  # kept, so that no other object gets its id
        if isinstance(item, torch.Tensor) and not hasattr(item, "__tensor_flatten__"):
            if item.layout == torch.strided and not item.is_meta:
                storages[item.untyped_storage().data_ptr()] = item.untyped_storage().nbytes()
        else:
            waiting += _parts(item)
    return sum(storages.values())


def _parts(item: Any) -> list[Any]:
    """The objects directly inside of one; none in a class, a module of Python's or an object of torch's own."""
    if isinstance(item, torch.Tensor):
        return [getattr(item, name) for name in item.__tensor_flatten__()[0]]
    if isinstance(item, Mapping):
        return [*item.values()]
    if isinstance(item, list | tuple | set):
        return [*item]
    if isinstance(item, FunctionType):
        cells = [cell.cell_contents for cell in item.__closure__ or () if cell != CellType()]
        return [*cells, *(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
    if isinstance(item, MethodType):
        return [item.__self__]
    if isinstance(item, functools.partial):
        return [item.func, item.args, item.keywords]
    own = not isinstance(item, type) and not type(item).__module__.startswith(("torch.", "builtins"))
    return [*getattr(item, "__dict__", {}).values()] if isinstance(item, torch.nn.Module) or own else []
