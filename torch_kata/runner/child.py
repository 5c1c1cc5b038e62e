"""The process in which one task's grader runs: pytest, with every check reported over the channel as it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NoReturn

import pytest

from torch_kata import integrity, plugin
from torch_kata.catalog import Catalog, Task
from torch_kata.checks import learner
from torch_kata.runner import limits
from torch_kata.runner.request import CHANNEL_LOST, Channel, Request
from torch_kata.submission import said

LARGEST_FILE_MB = 512


class Reporter:
    """Sends what pytest collects and each check's record; stops after a check that ran into its time limit."""

    def __init__(self, request: Request, channel: Channel) -> None:
        self.request, self.channel = request, channel
        self.session: pytest.Session | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        self.channel.send("collected", checks=[asdict(plugin.check_of(item)) for item in items])
        speed = {"correct": False, "speed": True, "bench": True}.get(self.request.phase)
        items[:] = [
            item
            for item in items
            if (speed is None or bool(item.get_closest_marker("speed")) == speed)
            and (not self.request.only or item.name in self.request.only)
        ]
        self.channel.send("chosen", names=[item.name for item in items])

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo) -> None:
        self.channel.send("stopped", message=_why(excinfo.value))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.channel.send("broken", message=str(report.longrepr).strip().splitlines()[-1])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.channel.send("start", name=nodeid.rpartition("::")[2])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if check := getattr(report, "kata_check", None):
            self.channel.send("check", check=asdict(check), timings=getattr(report, "kata_timings", {}))
            if getattr(report, "kata_timeout", False):
                self.channel.send("overtime")
                self.session.shouldstop = "a check ran into its time limit"


def run(request: Request, channel: Channel, folder: Path, sealed: Callable[[bool], str] | None = None) -> None:
    """Runs the grader in this process, with its temporary files in `folder`, and sends what it establishes.

    `sealed` says what was replaced of what the checks rely on since it was made.
    """
    task = next(task for task in Catalog(Path(request.root)).tasks if task.id == request.task)
    _settle(folder)
    if request.device == "cpu":
        limits.limit_memory(request.memory_mb)
    limits.limit_file_size(LARGEST_FILE_MB)

    def confine(hidden: list[Path]) -> None:
        if request.device == "cpu":
            limits.confine_files([folder], hidden)

    apart = Confined(plugin.Apart(confine, request.check_seconds), sealed or integrity.seal())
    reporter = Reporter(request, channel)
    code = pytest.main(arguments(task, request), plugins=[reporter, apart])
    channel.send("end", code=int(code), replaced=apart.replaced() if learner.FILES else "")


class Confined:
    """Hands the plugin what is different in a process of its own."""

    def __init__(self, apart: plugin.Apart, sealed: Callable[[bool], str]) -> None:
        self.apart, self.sealed = apart, sealed

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        self.config = config
        config.stash[plugin.APART] = self.apart
        config.stash[plugin.SEALS][None] = self.sealed

    def replaced(self) -> str:
        """What the answer has replaced in the end; each check has looked at the most important already."""
        found = plugin.replaced(self.config, *self.config.stash[plugin.SEALS], thorough=True)
        return found or ("評分用來比較的運算" if integrity.is_blind() else "")


def arguments(task: Task, request: Request) -> list[str]:
    """pytest's command line for one grader: only the plugins that grading needs, and no file of the learner's."""
    return [
        str(task.grader),
        *("-c", str(task.root / "pyproject.toml"), "--rootdir", str(task.root), "--noconftest", "-q", "-q"),
        *("-p", "no:cacheprovider", "-p", "no:doctest", "-p", "no:junitxml", "-p", "no:faulthandler"),
        *("-p", "no:unraisableexception", "-p", "no:threadexception", "--timeout-disable-debugger-detection"),
        *("--no-header", "--no-summary", "--tb=no", "--basetemp", os.path.join(tempfile.gettempdir(), "pytest")),
        *("--target", request.target, "--device", request.device, "--seed", str(request.seed)),
        *(["--kata-bench"] if request.phase == "bench" else []),
    ]


def _settle(folder: Path) -> None:
    """Temporary files, caches and the working directory in `folder`, nothing to read on stdin, nothing shown."""
    os.environ.update(
        TMPDIR=str(folder),
        MPLCONFIGDIR=str(folder / "matplotlib"),
        MPLBACKEND="Agg",
        TORCHINDUCTOR_CACHE_DIR=str(folder / "inductor"),
        PYTHONDONTWRITEBYTECODE="1",
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )
    sys.dont_write_bytecode = True
    tempfile.tempdir = str(folder)
    os.chdir(folder)
    sink = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(sink, descriptor)
    os.close(sink)


def main() -> None:
    """`python -m torch_kata.runner.child FOLDER`, a fresh process for one task; see torch_kata.runner.fresh."""
    import torch  # noqa: F401 - before the clock starts

    line = json.loads(sys.stdin.readline())
    request = Request.load(line["request"].encode())
    channel = Channel(socket.create_connection(("127.0.0.1", line["port"])), request.key)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print("ready", flush=True)
    report(request, channel, Path(sys.argv[1]))


def report(request: Request, channel: Channel, folder: Path, sealed: Callable[[bool], str] | None = None) -> NoReturn:
    """Runs the grader, and ends this process whatever happens."""
    status = CHANNEL_LOST
    try:
        # A process that the learner forks must neither repeat our lines nor hold the channel open.
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=channel.socket.close)
        run(request, channel, folder, sealed)
        status = 0
    except BaseException as error:
        with contextlib.suppress(BaseException):
            channel.send("stopped" if learner.FILES else "broken", message=_why(error))
    finally:
        os._exit(status)


def _why(error: BaseException) -> str:
    closed = [name for name in ("stdout", "stderr") if getattr(sys, name).closed]
    return f"你的程式關掉了 sys.{closed[0]}" if closed else f"{type(error).__name__}: {said(error)}"


if __name__ == "__main__":
    main()
