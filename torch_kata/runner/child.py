"""The process in which one task's grader runs: pytest, with every check reported over the channel as it ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from torch_kata import plugin
from torch_kata.catalog import Catalog, Task
from torch_kata.runner import limits
from torch_kata.runner.request import Channel, Request

PHASES = {"all": "", "correct": "not speed", "speed": "speed", "bench": "speed"}


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

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

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


def run(request: Request, channel: Channel, folder: Path) -> None:
    """Runs the grader in this process, with its temporary files in `folder`, and sends what it establishes."""
    task = next(task for task in Catalog(Path(request.root)).tasks if task.id == request.task)
    _settle(folder)
    if request.device == "cpu":
        limits.limit_memory(request.memory_mb)

    def confine() -> None:
        # Called after the grader and the reference are read and before the learner's file is.
        allowed = Path(request.target) == task.root / "solutions"
        hidden = [task.root / "graders"] + ([] if allowed else [task.root / "solutions"])
        if request.device == "cpu":
            limits.confine_files([folder], hidden)

    code = pytest.main(arguments(task, request), plugins=[Reporter(request, channel), Confine(confine)])
    channel.send("end", code=int(code))


class Confine:
    """Hands the plugin what to do before an answer is imported."""

    def __init__(self, confine: Any) -> None:
        self.confine = confine

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.stash[plugin.BEFORE_SUBMISSION] = self.confine


def arguments(task: Task, request: Request) -> list[str]:
    """pytest's command line for one grader: only the plugins that grading needs, and no file of the learner's."""
    return [
        str(task.grader),
        *("-c", str(task.root / "pyproject.toml"), "--rootdir", str(task.root), "--noconftest", "-q", "-q"),
        *("-p", "no:cacheprovider", "-p", "no:doctest", "-p", "no:junitxml", "-p", "no:faulthandler"),
        *("-p", "no:unraisableexception", "-p", "no:threadexception"),
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
    """A fresh process for one task, where there is no fork: the request comes on stdin, the result goes to a port."""
    line = json.loads(sys.stdin.readline())
    request = Request.load(line["request"].encode())
    connection = socket.create_connection(("127.0.0.1", line["port"]))
    channel = Channel(connection, request.key)
    channel.send("hello")
    with tempfile.TemporaryDirectory(prefix="kata-", ignore_cleanup_errors=True) as folder:
        with contextlib.suppress(SystemExit):
            run(request, channel, Path(folder).resolve())
        os.chdir(request.root)
    connection.close()
    os._exit(0)


if __name__ == "__main__":
    main()
