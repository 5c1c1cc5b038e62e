"""Calls as they are made: forbidden ones are refused, others counted, from wherever the learner's code makes them."""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType
from typing import Any

import pytest

from torch_kata.checks import learner
from torch_kata.checks.record import CheckFailed
from torch_kata.lazy import torch

SHORT = {"F.": "torch.nn.functional.", "nn.": "torch.nn.", "Tensor.": "torch.Tensor."}
_originals: dict[str, Callable] = {}
_active: list[Guard] = []


class ForbiddenCall(CheckFailed):
    """The answer called what its task forbids."""


def forbid(*names: str) -> pytest.MarkDecorator:
    """Marks a grader or a check: the learner's code may not call these while it runs, nor the answer while imported.

    A name is a function, method or class (`torch.cdist`, `F.gelu`, `nn.RNN`, `Tensor.backward`), a dispatched
    operator (`aten::silu`) or a module (`sklearn`).
    """
    return pytest.mark.forbid(*names)


class Guard:
    """Refuses (or counts) calls of `names` that the learner's code makes while the guard is on."""

    def __init__(self, names: tuple[str, ...], *, refuse: bool = True) -> None:
        self.names, self.refuse = names, refuse
        self.counts: Counter[str] = Counter()
        self._stack: contextlib.ExitStack | None = None

    def on(self) -> None:
        self._stack = contextlib.ExitStack()
        functions: dict = {}
        operators: dict = {}
        modules: list = []

        def install(name: str) -> None:
            self._install(name, functions, modules)

        for name in self.names:
            if name.startswith("aten::"):
                operators[name] = name
            elif _long(name).partition(".")[0] in sys.modules:
                install(name)
            else:
                # Importing it for the sake of the guard would cost seconds: wait until the answer does.
                modules += [] if "." in name else [name]
                self._stack.enter_context(_when_imported(name, functools.partial(install, name)))
        if modules:
            self._stack.enter_context(_patched(builtins, "__import__", self._importer(modules)))
        if functions:
            self._stack.enter_context(_function_mode(functions, self))
        if operators:
            self._stack.enter_context(_dispatch_mode(operators, self))

    def off(self) -> None:
        """Everything as it was before."""
        stack, self._stack = self._stack, None
        if stack:
            stack.close()

    def seen(self, name: str) -> None:
        """Called for each call of `name`; acts if the learner's code is on the stack."""
        if not learner.is_calling():
            return
        self.counts[name] += 1
        if self.refuse:
            raise ForbiddenCall(f"這一題禁用 {name}：請自己實作", f"forbidden {name}")

    def _install(self, name: str, functions: dict, modules: list) -> None:
        owner, attribute, thing = resolve(name)
        if thing is None:
            modules.append(name)
        elif isinstance(thing, ModuleType):
            modules.append(name)
            for part in getattr(thing, "__all__", None) or [key for key in vars(thing) if not key.startswith("_")]:
                item = getattr(thing, part, None)
                if getattr(item, "__module__", "").startswith(thing.__name__):
                    self._install_one(name, thing, part, item, functions)
        else:
            self._install_one(name, owner, attribute, thing, functions)

    def _install_one(self, name: str, owner: Any, attribute: str, thing: Any, functions: dict) -> None:
        if isinstance(thing, type):
            original = thing.__init__

            @functools.wraps(original)
            def construct(this: Any, *args: Any, **kwargs: Any) -> None:
                self.seen(name)
                original(this, *args, **kwargs)

            self._stack.enter_context(_patched(thing, "__init__", construct))
        elif isinstance(thing, FunctionType) and not thing.__code__.co_freevars:
            self._stack.enter_context(_rewired(thing, name, self))
        else:
            functions[thing] = name

    def _importer(self, modules: list[str]) -> Callable:
        original = builtins.__import__

        def guarded(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            if level == 0:
                wanted = [name, *(f"{name}.{part}" for part in fromlist or ())]
                for module in modules:
                    directly = globals is not None and globals.get("__file__") in learner.FILES
                    if directly and any(w == module or w.startswith(module + ".") for w in wanted):
                        self.seen(module)
            return original(name, globals, locals, fromlist, level)

        return guarded


@contextlib.contextmanager
def guarded(names: tuple[str, ...]) -> Iterator[None]:
    """Refuses the learner's calls of `names` inside the block."""
    guard = Guard(names)
    guard.on()
    _active.append(guard)
    try:
        yield
    finally:
        _active.remove(guard)
        guard.off()


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Inside the block no guard is on: for timing, since watching costs time."""
    guards = list(_active)
    for guard in reversed(guards):
        guard.off()
    try:
        yield
    finally:
        for guard in guards:
            guard.on()


@contextlib.contextmanager
def count_calls(*names: str) -> Iterator[Counter[str]]:
    """Counts the learner's calls of `names` (as in `forbid`) inside the block."""
    guard = Guard(names, refuse=False)
    guard.on()
    try:
        yield guard.counts
    finally:
        guard.off()


def resolve(name: str) -> tuple[Any, str, Any]:
    """(owner, attribute, object) of a dotted name; the object is None if it is a module that is not installed."""
    parts = _long(name).split(".")
    for cut in range(len(parts), 0, -1):
        try:
            owner: Any = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        if cut == len(parts):
            return None, name, owner
        for part in parts[cut:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1], getattr(owner, parts[-1])
    return None, name, None


def _long(name: str) -> str:
    short = next((short for short in SHORT if name.startswith(short)), "")
    return SHORT.get(short, "") + name.removeprefix(short)


@contextlib.contextmanager
def _when_imported(name: str, install: Callable[[], None]) -> Iterator[None]:
    """Calls `install` once the module that holds `name` has been imported, by whatever way."""
    holder = name.rpartition(".")[0] or name

    class Finder:
        @staticmethod
        def find_spec(wanted: str, path: Any = None, target: Any = None) -> Any:
            if wanted != holder:
                return None
            sys.meta_path.remove(finder)
            spec = importlib.util.find_spec(wanted)
            if spec is None or spec.loader is None:
                return spec
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                install()

            spec.loader.exec_module = exec_module
            return spec

    finder = Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(finder)


@contextlib.contextmanager
def _patched(owner: Any, attribute: str, value: Any) -> Iterator[None]:
    own = attribute in vars(owner)
    original = getattr(owner, attribute)
    setattr(owner, attribute, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, attribute, original)
        else:
            delattr(owner, attribute)


@contextlib.contextmanager
def _rewired(function: FunctionType, name: str, guard: Guard) -> Iterator[None]:
    """Changes the code of a Python function itself, so that every reference to it, however imported, is watched."""
    key = f"{name}#{id(guard)}"
    code, defaults, keywords = function.__code__, function.__defaults__, function.__kwdefaults__
    original = FunctionType(code, function.__globals__, function.__name__, defaults, function.__closure__)
    original.__kwdefaults__ = keywords

    def call(*args: Any, **kwargs: Any) -> Any:
        guard.seen(name)
        return original(*args, **kwargs)

    _originals[key] = call
    namespace: dict[str, Any] = {}
    exec(  # a template without free variables, as __code__ demands
        "def relay(*args, **kwargs):\n"
        f"    return __import__('sys').modules[{__name__!r}]._originals[{key!r}](*args, **kwargs)\n",
        namespace,
    )
    function.__code__ = namespace["relay"].__code__
    try:
        yield
    finally:
        function.__code__ = code
        del _originals[key]


def _function_mode(functions: dict, guard: Guard) -> Any:
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            try:
                name = functions.get(func)
            except TypeError:
                name = None
            if name:
                guard.seen(name)
            return func(*args, **(kwargs or {}))

    return Watch()


def _dispatch_mode(operators: dict, guard: Guard) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        _should_skip_dynamo = _never_compiled

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func.name().partition(".")[0]
            if name in operators:
                guard.seen(name)
            return func(*args, **(kwargs or {}))

    return Watch()


@classmethod
def _never_compiled(cls: type) -> bool:
    """Else torch imports its compiler, for seconds, to keep it away from our modes."""
    return False


@contextlib.contextmanager
def counted_work(files: set[str], limit: float = float("inf")) -> Iterator[Counter[str]]:
    """Counts dispatched operators ("ops"), elements they write ("elements") and Python lines run in `files` ("lines").

    Stops the block with TooMuchWork once the operators exceed `limit`, or the lines 20 times that.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    counts: Counter[str] = Counter()

    class Count(TorchDispatchMode):
        _should_skip_dynamo = _never_compiled

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            counts["ops"] += 1
            counts[func.name()] += 1
            for tensor in result if isinstance(result, list | tuple) else [result]:
                if isinstance(tensor, torch.Tensor):
                    counts["elements"] += tensor.numel()
            if counts["ops"] > limit:
                raise TooMuchWork
            return result

    def trace(frame: Any, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            counts["lines"] += 1
            if counts["lines"] > 20 * limit:
                raise TooMuchWork
        return trace

    previous = sys.gettrace()
    with Count():
        sys.settrace(trace)
        try:
            yield counts
        finally:
            sys.settrace(previous)


class TooMuchWork(Exception):
    """Far more operators or Python lines than the reference needs."""
