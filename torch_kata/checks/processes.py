"""Other processes and threads: programs run apart, time limits, and what an answer leaves running or open."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from torch_kata.checks import calls
from torch_kata.checks.record import fail


def run_python(
    code: str,
    *arguments: str,
    cwd: Path | None = None,
    path: Sequence[Path] = (),
    seconds: float = 60,
) -> str:
    """What a fresh Python that runs `code` prints; it knows neither the answer nor the engine, except by `path`.

    Fails, with the program's last error line, when it ends with another status than 0 or takes too long.
    """
    finished = run_program([sys.executable, "-c", code, *arguments], cwd=cwd, path=path, seconds=seconds)
    if finished.returncode != 0:
        last = (finished.stderr.strip().splitlines() or ["（沒有訊息）"])[-1]
        fail(f"在新的行程裡執行失敗（狀態 {finished.returncode}）：{last[:300]}", f"program {last[:80]}")
    return finished.stdout


def run_program(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    path: Sequence[Path] = (),
    seconds: float = 60,
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end and returns status, stdout and stderr; fails when it takes longer than `seconds`.

    Then it is ended, with the programs it has started.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONIOENCODING": "utf-8",
        **(env or {}),
    }
    with psutil.Popen(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as program:
        try:
            out, err = program.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            fail(f"程式超過 {seconds:g} 秒還沒結束", "program timeout")
        finally:
            with contextlib.suppress(psutil.Error):
                for each in [*program.children(recursive=True), program] if program.poll() is None else []:
                    each.kill()
    return subprocess.CompletedProcess(program.args, program.returncode, out, err)


def call_within(seconds: float, function: Callable[..., Any], *args: Any, what: str = "呼叫", **kwargs: Any) -> Any:
    """function(*args, **kwargs), or its exception; fails when it has not returned after `seconds`."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            with calls.in_this_thread():
                outcome["value"] = function(*args, **kwargs)
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, name="torch-kata-call", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        fail(f"{what}超過 {seconds:g} 秒還沒返回", f"hang {what}")
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]


@contextlib.contextmanager
def nothing_left_running(seconds: float = 5.0) -> Iterator[None]:
    """Processes and threads that the block started have ended within `seconds` after it; processes left are ended.

    multiprocessing's resource tracker and fork server, which live as long as the interpreter, do not count.
    """
    threads, children = set(threading.enumerate()), {p.pid for p in _children()}
    try:
        yield
        deadline = time.monotonic() + seconds
        while True:
            left = [t.name for t in threading.enumerate() if t not in threads and not t.name.startswith("torch-kata")]
            running = [p for p in _children() if p.pid not in children]
            if not left and not running:
                return
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        if running:
            fail(f"還有 {len(running)} 個行程沒有結束：{_program(running[0])}", "processes left")
        fail(f"還有 {len(left)} 個執行緒沒有結束：{'、'.join(left[:3])}", "threads left")
    finally:
        # Else the interpreter, which joins multiprocessing's children at its exit, would wait for them.
        _end([process for process in _children() if process.pid not in children])


def _end(processes: list[psutil.Process]) -> None:
    """Kills them, unheard by DataLoader's handler, which would raise in the middle of a check."""
    heard = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCHLD")
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if processes and heard else None
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    for process in processes:
        # Until its last thread is gone, which is when the signal comes; the exit status stays for multiprocessing.
        with contextlib.suppress(ChildProcessError, AttributeError):
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    if handler is not None:
        signal.signal(signal.SIGCHLD, handler)


@contextlib.contextmanager
def nothing_left_open() -> Iterator[None]:
    """The block leaves no file open."""
    before = _open_files()
    yield
    left = _open_files() - before
    if left:
        gc.collect()  # what nobody can reach any more is closed
        left &= _open_files()
    if left:
        fail(f"有檔案沒有關閉：{min(left)[0]}", "files left")


def _open_files() -> set[tuple[str, int]]:
    return {(file.path, file.fd) for file in psutil.Process().open_files()}


def _children() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            lasting = "resource_tracker" in command or "multiprocessing.forkserver" in command
            if process.status() != psutil.STATUS_ZOMBIE and not lasting:
                found.append(process)
    return found


def _program(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())[:80] or process.name()
    return str(process.pid)
