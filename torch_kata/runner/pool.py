"""Runs, asked for from any thread: by a warm server that forks, or in a fresh process where there is no fork."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch_kata.catalog import ROOT, Task
from torch_kata.runner import fresh as fresh_process
from torch_kata.runner.request import CHANNEL_LOST, Request, receive
from torch_kata.verdict import Check

CAN_FORK = hasattr(os, "fork") and sys.platform == "linux"
# Modules whose import is worth sharing and starts no thread.
PRELOADED = (
    "torchvision",
    "scipy.special",
    "torch._dynamo",
    "torch.fx.experimental.symbolic_shapes",
    "torch.utils.tensorboard",
    "matplotlib.pyplot",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "sklearn.datasets",
)


@dataclass
class Run:
    """What came back of a request: every collected check, and why the run did not end by itself, if so."""

    checks: list[Check] = field(default_factory=list)
    fault: tuple[str, str] | None = None
    seconds: float = 0.0
    timings: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    leftover: list[str] = field(default_factory=list)


class Pool:
    """A source of runs for a set of tasks; a context manager. `fork=False` gives each run a process of its own."""

    def __init__(
        self, tasks: Iterable[Task], *, root: Path = ROOT, fork: bool = CAN_FORK, lasting: bool = True
    ) -> None:
        self.root, self.fork, self.lasting = root, fork, lasting
        needs = {need for task in tasks for need in task.needs}
        self.modules = [name for name in PRELOADED if name in needs]
        self._server: Server | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server, and with it every run that still goes on."""
        if self._server:
            self._server.close()

    def start(self) -> None:
        """Has the server import torch, so that the first run need not wait for all of it."""
        with self._lock:
            if self.fork and (self._server is None or not self._server.alive()):
                self._server = Server(self.root, [*self.modules, *(["--later"] if self.lasting else [])])

    def run(self, request: Request, *, fresh: bool = False) -> Run:
        """One run, to its end."""
        request = replace(request, key=secrets.token_hex(16))
        started = time.monotonic()
        if not self.fork:
            run = _collect(fresh_process.messages(request), request)
        elif fresh or request.device != "cpu":
            server = Server(self.root, [])
            try:
                run = _collect(server.ask(request), request)
            finally:
                server.close()
        else:
            self.start()
            run = _collect(self._server.ask(request), request)
        run.seconds = round(run.seconds or time.monotonic() - started, 3)
        return run


class Server:
    """The client's side of one server process."""

    def __init__(self, root: Path, modules: list[str]) -> None:
        self.socket, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "torch_kata.runner.server", str(theirs.fileno()), str(root), *modules],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            cwd=root,
            start_new_session=True,
        )
        theirs.close()
        self._ready, self._lock = False, threading.Lock()

    def alive(self) -> bool:
        return self.process.poll() is None

    def ask(self, request: Request) -> Iterator[dict]:
        """Sends a request; what comes back of it, line by line."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, self._lock:
                if not self._ready:
                    self._ready = self.socket.recv(6) == b"ready\n"
                if not self._ready:
                    error = (self.process.stderr.read() or b"").decode(errors="replace").strip().splitlines()
                    yield {"kind": "broken", "message": error[-1] if error else "評分伺服器沒有啟動"}
                    return
                try:
                    socket.send_fds(self.socket, [request.dump()], [theirs.fileno()])
                except OSError as error:
                    yield {"kind": "broken", "message": f"評分伺服器不見了（{error}）"}
                    return
            yield from receive(ours, request.key)

    def close(self) -> None:
        self.socket.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stderr.close()


def _collect(messages: Iterator[dict], request: Request) -> Run:
    """The run that the messages tell of. Whatever is missing from them was not passed."""
    run, checks, current, ended = Run(), {}, "", None
    awaited: set[str] = set()
    complete, stopped = False, ""
    for message in messages:
        kind = message["kind"]
        if kind == "collected":
            checks = {values["name"]: Check(**values) for values in message["checks"]}
        elif kind == "chosen":
            awaited = set(message["names"])
        elif kind == "start":
            current = message["name"]
        elif kind == "check" and message["check"]["name"] in checks:
            check = Check(**message["check"])
            checks[check.name] = _worse(checks[check.name], check)
            run.timings[check.name] = message["timings"]
            awaited.discard(check.name)
            current = ""
        elif kind == "overtime":
            run.fault = ("timeout", "有檢查超過時限，其餘的沒有執行")
        elif kind == "broken":
            run.fault = ("error", f"評分程式無法執行：{message['message']}")
        elif kind == "forged":
            run.fault = ("crashed", "你的程式寫進了評分的私有管道")
        elif kind == "stopped":
            stopped = message["message"]
        elif kind == "end":
            complete = True
            if message["replaced"]:
                run.fault = ("failed", f"你的程式替換了 {message['replaced']}：評分所依賴的不能改")
        elif kind == "ended":
            ended, run.leftover = message, message["leftover"]
    run.checks = list(checks.values())
    during = f"在檢查「{checks[current].label}」時" if current in checks else "評分時"
    if stopped:
        run.fault = run.fault or ("crashed", f"{during}評分中斷了：{stopped}")
    run.fault = run.fault or _fault(ended, complete, during, request)
    if awaited and not run.fault:
        run.fault = ("crashed", f"{during}評分中斷了：有 {len(awaited)} 個檢查沒有執行，你的程式動了評分的流程？")
    return run


def _worse(old: Check, new: Check) -> Check:
    """A check reports once for its setup and once for its call: a failure of either stays."""
    return old if old.outcome in ("failed", "todo") and new.outcome == "passed" else new


def _fault(ended: dict | None, complete: bool, during: str, request: Request) -> tuple[str, str] | None:
    how, code = (ended or {}).get("how"), (ended or {}).get("code")
    if how == "timeout":
        return "timeout", f"{during}超過整題的時限 {request.seconds:g} 秒"
    if how == "memory":
        return "crashed", f"{during}用了超過 {request.memory_mb} MiB 記憶體"
    if how == "processes":
        return "crashed", f"{during}開了太多行程"
    if how == "signal":
        name = signal.Signals(code).name if code in {s.value for s in signal.Signals} else str(code)
        return "crashed", f"{during}整個行程被 {name} 終止（例如 segmentation fault）"
    if how == "exited" and complete and code == 0:
        return None
    if how == "exited" and code == CHANNEL_LOST:
        return "crashed", f"{during}評分的私有管道斷了（你的程式關掉了不是它開的檔案？）"
    if how == "exited":
        return "crashed", f"{during}整個行程以狀態 {code} 結束了（os._exit？），其餘的檢查沒有執行"
    return "crashed", f"{during}評分行程不見了"
