"""Calls as they are made: forbidden ones are refused, others counted, from wherever the learner's code makes them."""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import importlib.util
import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MethodDescriptorType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import pytest

from torch_kata.checks import learner
from torch_kata.checks.record import CheckFailed
from torch_kata.lazy import torch

SHORT = {"F.": "torch.nn.functional.", "nn.": "torch.nn.", "Tensor.": "torch.Tensor."}
TORCHS = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType, GetSetDescriptorType)
_relayed: dict[str, Callable] = {}
_numbers = itertools.count()
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
        self._counting = threading.local()

    def on(self) -> None:
        self._functions: dict[Any, str] = {}  # seen by a function mode
        self._owners: list[tuple[ModuleType, str, Any, str]] = []
        self._operators: set[str] = set()  # seen by a dispatch mode
        self._composites: set[str] = set()  # operators that are taken apart before a dispatch mode sees them
        self._modules: list[str] = []
        with contextlib.ExitStack() as stack:
            self._stack = stack
            for name in self.names:
                if name.startswith("aten::"):
                    self._install_operator(name)
                elif _long(name).partition(".")[0] in sys.modules:
                    self._install(name)
                else:
                    # Importing it for the sake of the guard would cost seconds: wait until the answer does.
                    self._modules += [] if "." in name else [name]
                    stack.enter_context(_when_imported(name, functools.partial(self._install, name)))
            if self._modules:
                stack.enter_context(_patched(builtins, "__import__", self._importer()))
                stack.enter_context(_rewired(importlib.import_module, self._import_module))
            self.watch(stack)
            self._stack = stack.pop_all()

    def off(self) -> None:
        """Everything as it was before."""
        stack, self._stack = self._stack, None
        if stack:
            stack.close()

    def watch(self, stack: contextlib.ExitStack) -> None:
        """Turns on what sees the calls of one thread: torch's modes."""
        if self._functions or self._composites:
            stack.enter_context(_function_mode(self))
        if self._operators:
            stack.enter_context(_dispatch_mode(self))

    def seen(self, name: str) -> bool:
        """Called for each call of `name`; acts if the learner's code is on the stack, and says whether it is."""
        if not learner.is_calling():
            return False
        self.counts[name] += 1
        if self.refuse:
            raise ForbiddenCall(f"這一題禁用 {name}：請自己實作", f"forbidden {name}")
        return True

    def name_of(self, function: Any) -> str | None:
        """What the guard calls a function that torch's function mode sees; None if it does not watch it."""
        if isinstance(function, MethodWrapperType):  # a property of a tensor
            function = function.__self__
        if self._composites and (operator := _operator_of(function)) in self._composites:
            return operator
        try:
            return self._functions.get(function)
        except TypeError:
            return None

    @contextlib.contextmanager
    def looked_up(self) -> Iterator[None]:
        """Inside a Python function that torch's mode has seen no mode is on: what it looks up is replaced there."""
        with contextlib.ExitStack() as stack:
            for owner, attribute, thing, name in self._owners:
                stack.enter_context(_patched(owner, attribute, self._relay(thing, name)))
            yield

    def _install_operator(self, name: str) -> None:
        if not _is_composite(name):
            self._operators.add(name)
            return
        self._composites.add(name)
        for owner in (sys.modules["torch"], torch._C._nn):
            if thing := getattr(owner, name.removeprefix("aten::"), None):
                self._owners.append((owner, name.removeprefix("aten::"), thing, name))

    def _install(self, name: str) -> None:
        owner, attribute, thing = resolve(name)
        if thing is None or isinstance(thing, ModuleType):
            self._modules.append(name)
        if not isinstance(thing, ModuleType):
            if thing is not None:
                self._install_one(name, owner, attribute, thing)
            return
        inside = f"{thing.__name__}."
        for key, module in list(sys.modules.items()):
            # A module of torch can be reached without an import of it, and so can those inside it.
            if module is thing or ("." in name and key.startswith(inside)):
                for part, item in list(vars(module).items()):
                    own = f"{getattr(item, '__module__', None)}.".startswith(inside)
                    if own and not part.startswith("_") and callable(item):
                        self._install_one(name, module, part, item)

    def _install_one(self, name: str, owner: Any, attribute: str, thing: Any) -> None:
        if isinstance(thing, type):
            original = thing.__init__

            @functools.wraps(original)
            def construct(this: Any, *args: Any, **kwargs: Any) -> None:
                self.seen(name)
                original(this, *args, **kwargs)

            self._stack.enter_context(_patched(thing, "__init__", construct))
        elif isinstance(thing, FunctionType):
            self._stack.enter_context(_rewired(thing, functools.partial(self._pass, name)))
        elif _has_mode(thing):
            self._functions[thing] = name
            if isinstance(owner, ModuleType):
                self._owners.append((owner, attribute, thing, name))
        else:
            self._stack.enter_context(_patched(owner, attribute, self._relay(thing, name)))

    def _pass(self, name: str, original: Callable, *args: Any, **kwargs: Any) -> Any:
        inside = vars(self._counting).setdefault("names", set())
        # Under a function mode torch's Python functions call themselves once more: that is no second call.
        if name in inside or not self.seen(name):
            return original(*args, **kwargs)
        inside.add(name)
        try:
            return original(*args, **kwargs)
        finally:
            inside.remove(name)

    def _relay(self, thing: Any, name: str) -> Callable:
        @functools.wraps(thing)
        def relay(*args: Any, **kwargs: Any) -> Any:
            self.seen(name)
            return thing(*args, **kwargs)

        return relay

    def _importer(self) -> Callable:
        original = builtins.__import__

        def guarded(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
            if level == 0:
                self._seen_import([name, *(f"{name}.{part}" for part in fromlist or ())])
            return original(name, globals, locals, fromlist, level)

        return guarded

    def _import_module(self, original: Callable, name: str, package: str | None = None) -> Any:
        self._seen_import([name])
        return original(name, package)

    def _seen_import(self, wanted: list[str]) -> None:
        """Acts if the learner's own line imports: what a library imports for itself is its own business."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename in (__file__, "<relay>"):
            frame = frame.f_back
        if frame is None or frame.f_globals.get("__file__") not in learner.FILES:
            return
        for module in self._modules:
            if any(name == module or name.startswith(module + ".") for name in wanted):
                self.seen(module)


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
def in_this_thread() -> Iterator[None]:
    """The guards that are on watch this thread too: torch's modes belong to the thread that turned them on."""
    with contextlib.ExitStack() as stack:
        for guard in list(_active):
            guard.watch(stack)
        yield


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
def _rewired(function: FunctionType, call: Callable) -> Iterator[None]:
    """Changes the code of a Python function to call(original, *args, **kwargs), for every reference to the function,
    however imported."""
    code, key = function.__code__, f"{function.__qualname__}#{next(_numbers)}"
    original = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    original.__kwdefaults__ = function.__kwdefaults__
    _relayed[key] = functools.partial(call, original)
    relay = _relay_code(len(code.co_freevars))
    function.__code__ = relay.replace(co_consts=tuple(key if c == "KEY" else c for c in relay.co_consts))
    try:
        yield
    finally:
        function.__code__ = code
        del _relayed[key]


@functools.cache
def _relay_code(free: int) -> CodeType:
    """Code that looks up what to call under "KEY", with as many free variables as the code it stands for."""
    names = [f"_{number}" for number in range(free)]
    namespace: dict[str, Any] = {}
    lines = [
        "def outer():",
        *(f"    {name} = None" for name in names),
        "    def relay(*args, **kwargs):",
        f"        lambda: ({', '.join(names)})",
        f"        return __import__('sys').modules[{__name__!r}]._relayed['KEY'](*args, **kwargs)",
        "    return relay",
    ]
    exec(compile("\n".join(lines), "<relay>", "exec"), namespace)
    return namespace["outer"]().__code__


def _has_mode(thing: Any) -> bool:
    """Whether torch's function mode sees calls of it."""
    from torch.overrides import get_ignored_functions

    known = (getattr(thing, "__module__", None) or "torch").startswith("torch")
    return known and isinstance(thing, TORCHS) and thing not in get_ignored_functions()


def _operator_of(function: Any) -> str:
    """The operator that a function of torch's calls, by its name."""
    name = ""
    if isinstance(function, torch._ops.OpOverload):
        name = function.name()
    elif isinstance(function, torch._ops.OpOverloadPacket):
        name = function._qualified_op_name
    elif isinstance(function, TORCHS):
        name = f"aten::{function.__name__}"
    return name.partition(".")[0]


def _is_composite(name: str) -> bool:
    packet = getattr(torch.ops.aten, name.removeprefix("aten::"))
    return all(
        torch._C._dispatch_has_kernel_for_dispatch_key(getattr(packet, each).name(), "CompositeImplicitAutograd")
        for each in packet.overloads()
    )


def _function_mode(guard: Guard) -> Any:
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if name := guard.name_of(func):
                guard.seen(name)
            with guard.looked_up() if isinstance(func, FunctionType) else contextlib.nullcontext():
                return func(*args, **(kwargs or {}))

    return Watch()


def _dispatch_mode(guard: Guard) -> Any:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Watch(TorchDispatchMode):
        _should_skip_dynamo = _never_compiled

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            name = func.name().partition(".")[0]
            if name in guard._operators:
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
