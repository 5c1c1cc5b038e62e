"""A run in a fresh process, which works everywhere: a supervisor that starts the process, and a port for its result."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from torch_kata.runner import limits
from torch_kata.runner.request import Request, receive

PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "torch_kata.plugin,pytest_timeout"}


def messages(request: Request) -> Iterator[dict]:
    """What comes back of a request, line by line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        supervisor = _start(request, "torch_kata.runner.fresh", stdout=subprocess.PIPE)
        try:
            line = {"request": request.dump().decode(), "port": listener.getsockname()[1]}
            _tell(supervisor, json.dumps(line).encode() + b"\n")
            connection = None
            while connection is None and supervisor.poll() is None:
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
            if connection is None:
                yield {"kind": "broken", "message": "評分行程沒有啟動"}
                return
            with connection, contextlib.suppress(ConnectionError):
                yield from receive(connection, request.key)
            ending = json.loads(supervisor.stdout.read() or "{}")
            if ending:
                yield {"kind": "ended", "how": ending["kind"], "code": ending["code"], "leftover": ending["leftover"]}
        finally:
            if supervisor.poll() is None:
                limits.end_tree(supervisor.pid, keep_root=False)
            supervisor.wait()
            supervisor.stdout.close()


def main() -> None:
    """The supervisor: `python -m torch_kata.runner.fresh`, with a request on stdin; it prints how its child ended."""
    line = sys.stdin.buffer.readline()
    request = Request.load(json.loads(line)["request"].encode())
    limits.adopt_orphans()
    folder = Path(tempfile.mkdtemp(prefix="kata-")).resolve()
    try:
        child = _start(request, "torch_kata.runner.child", str(folder), stdout=subprocess.PIPE, start_new_session=True)
        _tell(child, line)
        child.stdout.readline()  # it has imported torch: from here on the time is the task's
        memory = request.memory_mb + 512
        ending = limits.supervise(child.pid, seconds=request.seconds, memory_mb=memory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(asdict(ending)), flush=True)
    os._exit(0)  # else Popen would complain that the child was reaped behind its back


def _start(request: Request, module: str, *arguments: str, **options: object) -> subprocess.Popen:
    # From the project's folder, and no other path: a torch.py in the user's folder must not be imported.
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=request.root,
        env={**os.environ, **PLUGINS, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        **options,
    )


def _tell(process: subprocess.Popen, line: bytes) -> None:
    with contextlib.suppress(OSError), process.stdin:  # it may have ended already
        process.stdin.write(line)


if __name__ == "__main__":
    main()
