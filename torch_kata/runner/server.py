"""A process that has imported torch once and forks a supervised child for every run it is asked for."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from torch_kata import integrity
from torch_kata.runner import child, limits
from torch_kata.runner.request import Channel, Request

# What torch imports at the first gradcheck, random test or mode: children would each do it again. Imported while
# there is nothing to do, so that the first answer does not wait for it.
LATER = ("torch.fx.experimental.symbolic_shapes", "scipy.special", "torch._dynamo")
WARM_UP = "import pytest\n@pytest.mark.parametrize('n', [1])\ndef test(n, tmp_path):\n    assert n\n"


def main() -> None:
    """`python -m torch_kata.runner.server FD ROOT MODULE... [--later]`: serves requests that come over the socket FD.

    With --later it also imports what many graders need, while it waits.
    """
    # It ends when the other end of the socket is closed. PR_SET_PDEATHSIG would not do: it looks at the thread that
    # started us, which may be a worker of the client's.
    connection = socket.socket(fileno=int(sys.argv[1]))
    sealed = prepare(Path(sys.argv[2]), [name for name in sys.argv[3:] if name != "--later"])
    connection.sendall(b"ready\n")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What a supervisor leaves that was itself ended comes to us: orphans, and its task's folder.
    limits.adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="kata-", ignore_cleanup_errors=True) as folder:
        tempfile.tempdir = folder
        serve(connection, sealed, list(LATER) if "--later" in sys.argv else [])
        limits.end_tree(os.getpid(), keep_root=True)


def serve(connection: socket.socket, sealed: Callable[[], str], later: list[str]) -> None:
    """Forks a supervisor for every request, and imports `later` in between, until the connection is closed."""
    supervisors: set[int] = set()
    while True:
        ended = {pid for pid in supervisors if os.waitpid(pid, os.WNOHANG)[0]}
        supervisors -= ended
        if ended:
            limits.end_tree(os.getpid(), keep_root=True, spared=supervisors)
        pause = 0.05 if later else 0.5 if supervisors else None
        if not select.select([connection], [], [], pause)[0]:
            if later:
                with contextlib.suppress(ImportError):
                    importlib.import_module(later.pop(0))
                gc.freeze()
            continue
        line, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 1)
        if not line:
            return
        pid = os.fork()
        if pid == 0:
            connection.close()
            with contextlib.suppress(BaseException):
                supervise(Request.load(line), socket.socket(fileno=descriptors[0]), sealed)
            os._exit(0)
        supervisors.add(pid)
        for descriptor in descriptors:
            os.close(descriptor)


def prepare(root: Path, modules: list[str]) -> Callable[[], str]:
    """Imports what every grader needs. Never a parallel torch operation: children would hang in theirs."""
    import numpy  # noqa: F401
    import torch

    torch.set_num_threads(1)
    for name in ["torch_kata.checks", *modules]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    os.environ["PYTEST_PLUGINS"] = "torch_kata.plugin,pytest_timeout"
    sys.dont_write_bytecode = True
    # The first run of pytest imports half of it; done here, a child starts in a tenth of the time.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "test_warm_up.py")
        path.write_text(WARM_UP, encoding="utf-8")
        with open(os.devnull, "w", encoding="utf-8") as sink, contextlib.redirect_stdout(sink):
            pytest.main([str(path), "-c", str(root / "pyproject.toml"), "--noconftest", "-p", "no:cacheprovider"])
        sys.modules.pop("test_warm_up", None)
    sealed = integrity.seal()
    gc.collect()
    gc.freeze()
    return sealed


def supervise(request: Request, connection: socket.socket, sealed: Callable[[], str]) -> None:
    """Forks the child that grades, ends it at its limits with all it started, and says how it ended."""
    os.setsid()
    limits.adopt_orphans()
    limits.die_with_parent()
    folder = Path(tempfile.mkdtemp(prefix="kata-")).resolve()
    try:
        pid = os.fork()
        if pid == 0:
            limits.die_with_parent()
            child.report(request, Channel(connection, request.key), folder, sealed)
        # The child's end of the channel is its own; this one opens after it has ended.
        ending = limits.supervise(pid, seconds=request.seconds, memory_mb=request.memory_mb + 512)
        Channel(connection, request.key).send(
            "ended", how=ending.kind, code=ending.code, seconds=ending.seconds, leftover=ending.leftover
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
