"""pytest: options, fixtures, how a stub's path collects its grader, how a check runs, and the summary in Chinese."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import math
import os
import random
import time
import traceback
import unittest
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from torch_kata import explain, integrity
from torch_kata.catalog import ROOT, Catalog, Task, resolve_target
from torch_kata.checks import calls, effects, learner, record
from torch_kata.checks.randomness import Rng
from torch_kata.checks.record import CheckFailed, NotRunHere
from torch_kata.errors import UsageError
from torch_kata.lazy import np, torch
from torch_kata.seeds import fresh_seed
from torch_kata.submission import SubmissionError, load_reference, load_submission
from torch_kata.verdict import CATEGORIES, Check, judge

TASK = pytest.StashKey[Task]()
CATALOG = pytest.StashKey[Catalog]()
TARGET = pytest.StashKey[Path]()
SEED = pytest.StashKey[int]()
CHECKS = pytest.StashKey[dict]()
ESCAPES = (pytest.skip.Exception, pytest.xfail.Exception, pytest.exit.Exception, unittest.SkipTest)
SEALS = pytest.StashKey[dict[ModuleType | None, Callable[[bool], str]]]()
OWNER = pytest.StashKey[int]()
STARTED = pytest.StashKey[float]()


@dataclass(frozen=True)
class Apart:
    """What is different where one grader runs in a process of its own: nobody types there, and nobody debugs.

    `confine` is called when the grader and the reference are read and the answer is not, with what it may not read.
    """

    confine: Callable[[list[Path]], None]
    check_seconds: float


APART = pytest.StashKey[Apart]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("torch-kata", "torch-kata: grading PyTorch exercises")
    group.addoption(
        "--target", default=None, metavar="exercises|solutions|DIR", help="what to grade (default: exercises)"
    )
    group.addoption("--device", default="cpu", choices=["cpu", "cuda"], help="where the tensors live (default: cpu)")
    group.addoption("--kata-bench", action="store_true", help="measure the contenders of speed checks, judge nothing")
    group.addoption(
        "--seed", type=int, default=None, help="replays the inputs of an earlier run (default: a fresh one)"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """pytest reads `--target DIR` before it knows the option, takes DIR for a test path, and looks for its settings
    there. Begin again with the settings named."""
    astray = config.rootpath != ROOT and config.getoption("target") and config.getoption("inifilename") is None
    if astray and config.invocation_params.dir.is_relative_to(ROOT):
        parameters = config.invocation_params
        return pytest.main(["-c", str(ROOT / "pyproject.toml"), *parameters.args], plugins=parameters.plugins)
    return None


def pytest_configure(config: pytest.Config) -> None:
    for name, title in CATEGORIES.items():
        config.addinivalue_line("markers", f"{name}: checks of {name} ({title})")
    config.addinivalue_line("markers", "forbid(*names): calls the learner's code may not make")
    config.addinivalue_line("markers", "cuda: runs with --device cuda only")
    config.addinivalue_line("markers", "cpu: runs with --device cpu only")
    config.stash[CATALOG] = catalog = Catalog(ROOT)
    config.stash[CHECKS], config.stash[SEALS], config.stash[OWNER] = {}, {}, os.getpid()
    seed = config.getoption("seed")
    config.stash[SEED] = fresh_seed() if seed is None else seed
    try:
        target = config.getoption("target")
        config.args, found = _graders_of(config, catalog)
        config.stash[TARGET] = resolve_target(target) if target else found or ROOT / "exercises"
    except UsageError as error:
        raise pytest.UsageError(str(error)) from None


def _graders_of(config: pytest.Config, catalog: Catalog) -> tuple[list[str], Path | None]:
    """The arguments, with each answer's path replaced by its grader's, and the target folder that such a path names."""
    arguments, target = [], None
    for argument in config.args:
        name, separator, rest = argument.partition("::")
        path = (config.invocation_params.dir / name).resolve()
        answers = [path] if path.suffix == ".py" else sorted(path.glob("t[0-9]*.py")) if path.is_dir() else []
        found = [pair for answer in answers if (pair := catalog.of_path(answer))]
        if path.is_dir() and path in (ROOT / "exercises", ROOT / "solutions"):
            found, arguments, target = [], [*arguments, str(ROOT / "graders")], path
        elif found:
            arguments += [str(task.grader) + separator + rest for task, _ in found]
            target = found[0][1]
        else:
            arguments.append(argument)
    return arguments, target


def pytest_report_header(config: pytest.Config) -> str:
    seed, target = config.stash[SEED], config.stash[TARGET]
    name = target.relative_to(ROOT) if target.is_relative_to(ROOT) else target
    return f"torch-kata: target {name}, device {config.getoption('device')}, seed {seed} (--seed {seed} replays it)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    bench = config.getoption("benchmark_only", False)
    for item in items:
        if task := config.stash[CATALOG].of_grader(item.path):
            item.stash[TASK] = task
            item.add_marker(pytest.mark.timeout(_seconds(config, task)))
            if bench and item.get_closest_marker("speed"):
                item.fixturenames.append("benchmark")
    other = "cpu" if config.getoption("device") == "cuda" else "cuda"
    items[:] = [item for item in items if TASK not in item.stash or not item.get_closest_marker(other)]
    if bench:  # pytest-benchmark would only skip the others, one by one
        items[:] = [item for item in items if TASK not in item.stash or "benchmark" in item.fixturenames]
    items.sort(key=lambda item: bool(item.stash.get(TASK, None) and item.get_closest_marker("speed")))


def _seconds(config: pytest.Config, task: Task) -> float:
    return config.stash[APART].check_seconds if APART in config.stash else task.check_seconds


def check_of(item: pytest.Item) -> Check:
    """The check that an item is: its name, its category by its marker, its label from the docstring's first line."""
    category = next((name for name in CATEGORIES if item.get_closest_marker(name)), "behaviour")
    doc = (getattr(item, "function", None).__doc__ or item.name).strip().splitlines()[0]
    return Check(item.name, category, doc)


# ── fixtures ──


@pytest.fixture(scope="module")
def reference(request: pytest.FixtureRequest) -> ModuleType:
    """The reference solution's module: for speed only, never the truth."""
    return load_reference(_task(request).solution)


@pytest.fixture(scope="module")
def submission(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The learner's module."""
    task, config = _task(request), request.config
    if any("reference" in item.fixturenames for item in request.node.session.items if item.module is request.module):
        # Now, since its folder is about to be closed to us; where none asks for it, the answer cannot find it either.
        request.getfixturevalue("reference")
    path = config.stash[TARGET] / task.path
    integrity.secrets.protect(_hidden(task, path))
    if APART in config.stash:
        config.stash[APART].confine(_hidden(task, path))
    learner.FILES.clear()
    learner.FILES.add(str(path))
    settings, switches = effects.global_settings(), integrity.switches()
    try:
        with calls.guarded(_forbidden(request.node)):
            module = load_submission(path)
    finally:
        _end_copies(config)
    if meddling := _meddling(request.node, settings, switches, thorough=True):
        raise SubmissionError(f"匯入時{meddling}")
    if integrity.is_blind():
        raise SubmissionError("匯入時替換了評分用來比較的運算")
    config.stash[CHECKS]["module", task.id] = module
    yield module


def _hidden(task: Task, answer: Path) -> list[Path]:
    """What an answer may not read: the graders, and the other right answers."""
    folders = [task.root / name for name in ("graders", "solutions", "tests", ".git")]
    return [folder for folder in folders if not answer.is_relative_to(folder)]


def _end_copies(config: pytest.Config) -> None:
    """Does not return in a process that the learner's code forked and did not end: it would go on grading."""
    while os.getpid() != config.stash[OWNER]:
        if APART not in config.stash:
            os._exit(1)
        time.sleep(60)  # until the supervisor counts what was left behind


def replaced(config: pytest.Config, *graders: ModuleType | None, thorough: bool) -> str:
    """The names of what was replaced in the watched modules and in `graders`, after putting it back."""
    seals = config.stash[SEALS]
    return "、".join(filter(None, [seals[module](thorough) for module in {None, *graders}]))


def _meddling(
    node: pytest.Module, settings: dict, switches: dict, error: BaseException | None = None, *, thorough: bool
) -> str:
    """What the learner's code changed that others rely on, in words, after putting it back; empty if nothing."""
    change = effects.changed_setting(settings)
    if change:
        effects.restore_settings(settings)
    # After the settings: torch itself replaces torch.Storage with the default dtype.
    broken = replaced(node.config, node.obj, thorough=thorough)
    switched = integrity.switched(switches) if APART in node.config.stash else ""
    if broken:
        return f"替換了 {broken}：評分所依賴的函式不能改"
    if change:
        return f"有副作用：{change}"
    # An exception may leave these as they were inside of a block.
    return f"動了 {switched}，而且沒有還原：評分要靠它" if switched and not error else ""


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Any:
    """The device that the check's tensors live on."""
    return torch.device(request.config.getoption("device"))


@pytest.fixture
def rng(request: pytest.FixtureRequest, device: Any) -> Rng:
    """Random inputs, new for every check and every seed."""
    return Rng([request.config.stash[SEED], _number(request.node.name)], device)


@pytest.fixture
def tensor(device: Any) -> Callable[..., Any]:
    """torch.tensor on the device: floating-point numbers are float32 unless a dtype is given."""

    def make(values: Any, *, dtype: str | None = None, requires_grad: bool = False) -> Any:
        kind = getattr(torch, dtype) if dtype else None
        return torch.tensor(values, dtype=kind, device=device, requires_grad=requires_grad)

    return make


def _task(request: pytest.FixtureRequest) -> Task:
    task = request.config.stash[CATALOG].of_grader(request.node.path)
    if task is None:
        raise pytest.UsageError(f"{request.node.path} 不是任何一題的評分程式")
    return task


def _number(name: str) -> int:
    return zlib.crc32(name.encode())


# ── running one check ──


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Imports torch and what the tasks need before a check's time runs; one thread, as in the runner; no TF32."""
    if session.config.option.collectonly or not any(TASK in item.stash for item in session.items):
        return
    for name in dict.fromkeys(
        ["torch", *(need for i in session.items if TASK in i.stash for need in i.stash[TASK].needs)]
    ):
        with contextlib.suppress(ImportError):  # said where the check is skipped
            importlib.import_module(name)
    torch.set_num_threads(1)  # small operations only get slower with more, a hundred times when other programs run
    if session.config.getoption("device") == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # its default; ten bits are too few for any tolerance here


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: pytest.FixtureRequest) -> Generator[None, Any, Any]:
    """A grader's fixtures may run the learner's code too: it may not skip, call what is forbidden, or leave a trace."""
    grader = getattr(request, "module", None)
    if grader is None or request.config.stash[CATALOG].of_grader(request.node.path) is None:
        return (yield)
    if getattr(fixturedef.func, "__globals__", None) is not vars(grader):
        with _no_escape(request.config):
            return (yield)
    # Some change a setting until their teardown.
    lasting = inspect.isgeneratorfunction(fixturedef.func) or "monkeypatch" in fixturedef.argnames
    settings = None if lasting else effects.global_settings()
    try:
        with _no_escape(request.config), calls.guarded(_forbidden(request.node)):
            result = yield
    finally:
        _end_copies(request.config)
        change = effects.changed_setting(settings) if settings else ""
        if change:
            effects.restore_settings(settings)
    if change:
        raise CheckFailed(f"你的程式有副作用：{change}", f"meddling 有副作用：{change}")
    return result


def _forbidden(node: pytest.Item | pytest.Module) -> tuple[str, ...]:
    return tuple(name for mark in node.iter_markers("forbid") for name in mark.args)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Notes the time before pytest-timeout sets its alarm, which runs through a check's setup and its call."""
    item.stash[STARTED] = time.perf_counter()
    return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not (task := item.stash.get(TASK, None)):
        return
    for need in task.needs:
        with contextlib.suppress(ImportError):
            __import__(need)
            continue
        pytest.skip(f"需要 {need}：pip install {need}")
    if item.config.getoption("device") == "cuda" and not torch.cuda.is_available():
        pytest.skip("這台機器沒有可用的 CUDA 裝置")
    seals = item.config.stash[SEALS]
    if item.module not in seals:
        if None not in seals:
            seals[None] = integrity.seal()
        seals[item.module] = integrity.seal(item.module)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    if TASK not in pyfuncitem.stash:
        return (yield)
    seed = _number(f"{pyfuncitem.config.stash[SEED]} {pyfuncitem.name}")
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would also queue a call for CUDA, which is slow
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    np.random.seed(seed)
    random.seed(seed)
    record.current.__init__()
    record.current.bench = "benchmark" in pyfuncitem.fixturenames or pyfuncitem.config.getoption("kata_bench")
    settings, switches = effects.global_settings(), integrity.switches()
    error = result = None
    try:
        with _no_escape(pyfuncitem.config), calls.guarded(_forbidden(pyfuncitem)):
            result = yield
    except KeyboardInterrupt:
        raise
    except BaseException as caught:
        error = caught
    _end_copies(pyfuncitem.config)
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)  # they hold what filled the memory
    # Where the run has an end of its own, it is looked at then.
    thorough = APART not in pyfuncitem.config.stash
    meddling = _meddling(pyfuncitem.getparent(pytest.Module), settings, switches, error, thorough=thorough)
    if meddling and not (error and (explain.is_todo(error) or explain.is_timeout(error))):
        raise CheckFailed(f"你的程式{meddling}", f"meddling {meddling}") from error
    if error:
        raise error
    if record.current.bench:
        _hand_to_benchmark(pyfuncitem)
    return result


@contextlib.contextmanager
def _no_escape(config: pytest.Config) -> Iterator[None]:
    """What ends a test early, when the learner's code raises it, is a failure like any other."""
    try:
        yield
    except NotRunHere as error:
        if explain.is_raised_by_learner(error):
            raise CheckFailed(explain.reason(error, None)).with_traceback(error.__traceback__) from error
        raise
    except (*ESCAPES, SystemExit, GeneratorExit) as error:
        raise CheckFailed(explain.reason(error, None)).with_traceback(error.__traceback__) from error
    except KeyboardInterrupt as error:
        if APART not in config.stash:
            raise
        raise CheckFailed(explain.reason(error, None)).with_traceback(error.__traceback__) from error


def _hand_to_benchmark(item: pytest.Function) -> None:
    """pytest-benchmark's table holds the learner's times; the other contenders stand beside them in its extra info."""
    benchmark, times = item.funcargs.get("benchmark"), record.current.timings
    if benchmark is None or not times:
        return
    own = iter(times["你的解"])
    benchmark.extra_info.update({name: min(values) for name, values in times.items()})
    benchmark._mode = "torch-kata"
    stats = benchmark._make_stats(1)
    for seconds in own:
        stats.update(seconds)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Generator[None, Any, Any]:
    report = yield
    if not (task := item.stash.get(TASK, None)):
        return report
    check = check_of(item)
    check.seconds = round(call.duration, 4)
    error, limit = call.excinfo.value if call.excinfo else None, _seconds(item.config, task)
    if error is None and APART in item.config.stash and time.perf_counter() - item.stash[STARTED] > limit:
        error = explain.Overtime(f"超過 {limit:g} 秒還沒完成，而且攔下了評分用來結束它的例外")
    if error is not None:
        item.stash[STARTED] = math.inf  # the alarm has done its work: what follows is no second fault
    if error is not None and not isinstance(error, pytest.skip.Exception):
        module = item.config.stash[CHECKS].get(("module", task.id))
        if isinstance(error, NotRunHere):
            check.outcome, check.message = "not_run", str(error)
            report.outcome, report.longrepr = "skipped", (str(item.path), 0, str(error))
        else:
            check.outcome = "todo" if explain.is_todo(error) else "failed"
            check.message = explain.reason(error, module)
            check.trace = explain.trace(error)
            check.evidence = explain.evidence(error, check.message)
            report.outcome = "failed"
            report.longrepr = "\n".join(filter(None, [f"{check.label}：{check.message}", check.trace]))
            report.kata_todo = check.outcome == "todo"
            report.kata_timeout = explain.is_timeout(error)
            if isinstance(error, SubmissionError):
                report.kata_repeated = (
                    item.config.stash[CHECKS].setdefault(("file", task.id), item.nodeid) != item.nodeid
                )
    elif report.skipped:  # by us or by another plugin: what the learner's code raises does not get here
        check.outcome, check.message = "not_run", str(error)
    elif call.when == "call":
        check.outcome = "passed"
    if call.when == "call":
        check.ratio = record.current.ratio
        report.kata_timings = record.current.timings
    if call.when == "call" or check.outcome != "not_run" or check.message:
        check.printed = (report.capstdout + report.capstderr)[:2000]
        report.kata_check = check
        report.kata_task = task
        item.config.stash[CHECKS][item.nodeid] = (task, check)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: pytest.TestReport) -> tuple | None:
    if getattr(report, "kata_todo", False):
        return "todo", "t", ("TODO", {"yellow": True})
    if getattr(report, "kata_repeated", False):
        return "not graded", "E", ("ERROR", {"red": True})
    return None


# ── the summary ──


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """One line a task: its verdict, and what to do next."""
    results: dict[Task, list[Check]] = {}
    for key, value in config.stash[CHECKS].items():
        if isinstance(key, str):
            results.setdefault(value[0], []).append(value[1])
    if not results:
        return
    terminalreporter.section("評分", sep="=")
    marks = {"passed": ("✓", "green"), "todo": ("…", "yellow")}
    for task, checks in sorted(results.items(), key=lambda pair: pair[0].id):
        verdict = judge(task, checks, seed=config.stash[SEED], device="", seconds=0, fault=None)
        mark, color = marks.get(verdict.status, ("✗", "red"))
        from torch_kata.verdict import STATUSES

        total, passed = len(checks), verdict.counted("passed")
        line = f"{mark} {task.id:03d} {task.slug}  {STATUSES[verdict.status]}  {passed}/{total}"
        reasons = {check.message for check in checks if check.outcome == "failed"}
        if len(reasons) == 1:
            line += f"  {reasons.pop()}"
        terminalreporter.write_line(_encodable(line, terminalreporter), **{color: True})
    terminalreporter.write_line(f"--seed {config.stash[SEED]} 會用同樣的輸入再評一次")


def _encodable(text: str, terminalreporter: Any) -> str:
    encoding = getattr(terminalreporter._tw._file, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
