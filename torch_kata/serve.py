"""A real TorchServe on loopback that answers with the archive and the handler of task 78; `nox -s serve` runs it."""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from torch_kata.catalog import Catalog, Task, resolve_target
from torch_kata.errors import UsageError
from torch_kata.lazy import nn, torch
from torch_kata.submission import SubmissionError, load_submission

TASK = 78
MODEL = "kata_net"
BATCH = 4
DELAY_MS = 800  # that a worker waits for a batch to fill
STARTING, ANSWERING, ENDING = 120.0, 20.0, 15.0  # seconds
NO_JAVA = (
    "這裡沒有能用的 Java，而 TorchServe 的伺服器是 Java 程式。安裝 Java 17："
    "Debian、Ubuntu 用 sudo apt install openjdk-17-jre-headless，macOS 用 brew install openjdk@17，"
    "Windows 用 winget install EclipseAdoptium.Temurin.17.JRE；裝在別處時把 JAVA_HOME 設成它的資料夾"
)
NO_TORCHSERVE = "這裡沒有 TorchServe；nox -s serve 會裝好它，自己裝用 pip install -e '.[serve]'"


class Unfit(Exception):
    """What the learner's archive or handler does wrong, in one line."""


@dataclass(frozen=True)
class Answer:
    """What the server answered to one request."""

    status: int
    body: str

    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        with contextlib.suppress(ValueError):
            return json.loads(self.body)
        return None

    def __str__(self) -> str:
        content = self.json()
        text = self.body if content is None else json.dumps(content, ensure_ascii=False)
        return f"{self.status} {' '.join(text.split())[:120]}"


# Sends a body of a content type to the model, and returns its answer.
Post = Callable[[bytes, str], Answer]


# ── what the answers are held against ──


def expected(sample: list[float]) -> list[float]:
    """What the probe answers to a sample, but for the last number, which is the size of the batch it saw."""
    return [sum(sample), max(sample)]


def write_probe(path: Path) -> None:
    """A TorchScript model (B, 3) -> (B, 3): its answers tell whose they are, and how large a batch it saw."""

    class Probe(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            size = torch.full_like(x[:, 0], x.size(0))
            return torch.stack([x.sum(1), x.amax(1), size], 1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and what TorchServe takes
        torch.jit.script(Probe()).save(str(path))


def answer_single(post: Post) -> str:
    """單筆請求得到模型的答案"""
    sample = [1.0, 2.5, -4.0]
    answer = post(json.dumps(sample).encode(), "application/json")
    _judge(answer, sample)
    return str(answer)


def answer_formats(post: Post) -> str:
    """四種送法都讀得懂：application/json、text/plain、application/octet-stream、表單的 data"""
    form = b'--kata\r\nContent-Disposition: form-data; name="data"\r\n\r\n{"input": [4, 2, 3]}\r\n--kata--\r\n'
    requests = {
        "application/json": (b'{"input": [1, 2, 3]}', [1, 2, 3]),
        "text/plain": (b"[2, 2, 3]", [2, 2, 3]),
        "application/octet-stream": (b"[3, 2, 3]", [3, 2, 3]),
        "multipart/form-data; boundary=kata": (form, [4, 2, 3]),
    }
    answers = together(post, [(body, kind) for kind, (body, _) in requests.items()])
    for answer, (kind, (_, sample)) in zip(answers, requests.items(), strict=True):
        _judge(answer, sample, kind.partition(";")[0] + "：")
    return ""


def answer_batch(post: Post) -> str:
    """同時到的請求合成一個 batch，各得各的答案"""
    samples = [[float(i), 10.0 * i, 0.5] for i in range(BATCH)]
    answers = together(post, [(json.dumps(sample).encode(), "application/json") for sample in samples])
    sizes = [_judge(answer, sample) for answer, sample in zip(answers, samples, strict=True)]
    if max(sizes) < 2:
        raise Unfit(f"{BATCH} 個同時到的請求，模型每次只看到一筆")
    return f"模型一次看到 {int(max(sizes))} 筆"


def answer_bad(post: Post) -> str:
    """讀不懂的請求得到 400 與 JSON 說明，同一批的其他請求照常"""
    samples = [[1.0, 2.0, 3.0], None, [3.0, 2.0, 2.0], None]
    bodies = [b"[1, 2" if sample is None else json.dumps(sample).encode() for sample in samples]
    answers = together(post, [(body, "application/json") for body in bodies])
    for answer, sample in zip(answers, samples, strict=True):
        if sample is not None:
            _judge(answer, sample, "同一批的好請求：")
        elif answer.status != 400 or not isinstance(answer.json(), dict):
            raise Unfit(f"讀不懂的請求應得到 400 與 JSON 物件，得到 {answer}")
    return str(answers[1])


def answer_after(post: Post) -> str:
    """之後的請求照常服務"""
    return answer_single(post)


CHECKS = (answer_single, answer_formats, answer_batch, answer_bad, answer_after)


def together(post: Post, requests: list[tuple[bytes, str]]) -> list[Answer]:
    """The answers to requests that are sent at the same time."""
    with ThreadPoolExecutor(len(requests)) as executor:
        return list(executor.map(lambda request: post(*request), requests))


def _judge(answer: Answer, sample: list[float], where: str = "") -> float:
    """The size of the batch in which a sample was answered rightly."""
    wanted, found = expected(sample), answer.json()
    if answer.status != 200:
        raise Unfit(f"{where}狀態應為 200，得到 {answer}")
    if not isinstance(found, list) or len(found) != len(wanted) + 1 or found[:-1] != wanted:
        raise Unfit(f"{where}{sample} 的答案應為 {[*wanted, 'batch 的大小']}，得到 {answer}")
    return found[-1]


def examine(post: Post) -> bool:
    """Whether all checks pass; one line is printed for each, and none after the server has stopped to answer."""
    passed = True
    for check in CHECKS:
        try:
            detail = check(post)
        except TimeoutError:
            say(False, check.__doc__, f"超過 {ANSWERING:g} 秒沒有回答；其餘的不檢查了")
            return False
        except (Unfit, OSError, http.client.HTTPException) as error:
            passed = False
            say(False, check.__doc__, str(error) or type(error).__name__)
        else:
            say(True, check.__doc__, detail)
    return passed


def say(passed: bool, label: str | None, detail: str = "") -> None:
    """One line: whether it passed, in a sign and a word, what it was, and what came of it."""
    print(f"{'✓ 通過' if passed else '✗ 失敗'}  {label}" + (f"（{detail}）" if detail else ""), flush=True)


# ── the server ──


class Server:
    """One TorchServe with folders, ports and processes of its own. After `start`, `end` leaves nothing running."""

    def __init__(self, folder: Path, store: Path, java: str) -> None:
        self._folder, self._store, self._java, self._ports = folder, store, java, free_ports(5)
        self._program: subprocess.Popen[bytes] | None = None
        for name in ("tmp", "logs"):
            (folder / name).mkdir()

    def start(self) -> None:
        """Starts it, and returns when it can be asked; raises UsageError where it does not come up."""
        settings = self._folder / "config.properties"
        settings.write_text("".join(f"{key}={value}\n" for key, value in self._settings().items()), encoding="utf-8")
        flags = ["--foreground", "--start", "--ncs", "--disable-token-auth", "--enable-model-api"]
        with open(self._folder / "logs" / "console.log", "wb") as log:
            self._program = subprocess.Popen(
                [sys.executable, "-m", "ts.model_server", *flags]
                + ["--ts-config", str(settings), "--model-store", str(self._store)],
                cwd=self._folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this program, which then ends that one
            )
        deadline = time.monotonic() + STARTING
        while self._program.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.manage("GET", "/models")
                return
            time.sleep(0.1)
        raise UsageError(f"TorchServe 沒有起來：{self._last_line('console.log') or '它什麼也沒說'}")

    def _settings(self) -> dict[str, object]:
        inference, management, metrics, grpc_inference, grpc_management = self._ports
        return {
            "inference_address": f"http://127.0.0.1:{inference}",
            "management_address": f"http://127.0.0.1:{management}",
            "metrics_address": f"http://127.0.0.1:{metrics}",
            "grpc_inference_address": "127.0.0.1",
            "grpc_inference_port": grpc_inference,
            "grpc_management_address": "127.0.0.1",
            "grpc_management_port": grpc_management,
            "number_of_gpu": 0,
            "disable_system_metrics": "true",
            "install_py_dep_per_model": "false",
        }

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("TS_")}
        if not self._java.startswith(kept.get("JAVA_HOME", "\0")):
            kept.pop("JAVA_HOME", None)  # it names a folder without Java; the one on PATH is meant
        tmp, logs = str(self._folder / "tmp"), str(self._folder / "logs")
        return {**kept, "TMPDIR": tmp, "TEMP": tmp, "TMP": tmp, "LOG_LOCATION": logs, "METRICS_LOCATION": logs}

    def register(self, archive: Path) -> None:
        """Has an archive of the store loaded by one worker; raises Unfit where that fails."""
        wishes = f"initial_workers=1&synchronous=true&batch_size={BATCH}&max_batch_delay={DELAY_MS}"
        answer = self.manage("POST", f"/models?url={archive.name}&{wishes}")
        if answer.status >= 300:
            raise Unfit(self.last_error() or (answer.json() or {}).get("message") or str(answer))
        deadline = time.monotonic() + STARTING
        while (answer := self.manage("GET", f"/models/{MODEL}")).status == 200:
            if any(worker["status"] == "READY" for worker in answer.json()[0]["workers"]):
                return
            if time.monotonic() > deadline:
                raise Unfit(f"{STARTING:g} 秒後 worker 還沒有就緒")
            time.sleep(0.1)
        raise Unfit(f"伺服器找不到名為 {MODEL} 的模型；封存檔裡的 modelName 要是 build_archive 的 name")

    def manage(self, method: str, path: str) -> Answer:
        """What the server answers to a request of its owner."""
        return ask(self._ports[1], method, path, seconds=STARTING)

    def post(self, body: bytes, kind: str) -> Answer:
        """What the model answers to one request."""
        return ask(self._ports[0], "POST", f"/predictions/{MODEL}", body, kind)

    def last_error(self) -> str:
        """The exception by which a worker or a batch ended last; empty if none did."""
        log = self._folder / "logs" / "model_log.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        *_, last = re.split("Backend worker process died|Invoking custom service failed", "\n" + text)
        found = re.search(r"MODEL_LOG - ((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b.*)", last)
        return found[1].strip()[:300] if found and last != "\n" + text else ""

    def _last_line(self, name: str) -> str:
        lines = (self._folder / "logs" / name).read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")

    def end(self) -> None:
        """Ends the Java program, which ends its workers, and kills what is left of them after a while."""
        if self._program is None:
            return
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            psutil.Process(int((self._folder / "tmp" / ".model_server.pid").read_text())).terminate()
            psutil.wait_procs(self._family(), timeout=ENDING)
        while family := self._family():
            for process in family:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(family, timeout=1)
        self._program.wait()

    def _family(self) -> list[psutil.Process]:
        """What is still running of the program and of all it has started."""
        first = self._program.pid
        if not hasattr(os, "getsid"):
            alive = psutil.pid_exists(first) and self._program.poll() is None
            return [psutil.Process(first), *psutil.Process(first).children(recursive=True)] if alive else []
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if os.getsid(process.pid) == first and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@contextlib.contextmanager
def serving(folder: Path, store: Path, java: str) -> Iterator[Server]:
    """A server of the archives in `store` that has started, and that ends with the block, whatever happens in it."""
    server = Server(folder, store, java)
    try:
        server.start()
        yield server
    finally:
        with undisturbed():
            server.end()


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM do not end the block."""
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def ask(port: int, method: str, path: str, body: bytes = b"", kind: str = "", seconds: float = ANSWERING) -> Answer:
    """One request over HTTP to a port of 127.0.0.1, past any proxy."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request(method, path, body, {"Content-Type": kind} if kind else {})
        response = connection.getresponse()
        return Answer(response.status, response.read().decode("utf-8", "replace"))
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


# ── the program ──


def find_java() -> str:
    """The Java that TorchServe would start: JAVA_HOME's, or the one on PATH. Raises UsageError where none runs."""
    home = os.environ.get("JAVA_HOME")
    for java in filter(None, [home and shutil.which("java", path=str(Path(home, "bin"))), shutil.which("java")]):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # macOS has a `java` that only advises to get one
            if subprocess.run([java, "-version"], capture_output=True, timeout=30).returncode == 0:
                return java
    raise UsageError(NO_JAVA)


def require_torchserve() -> None:
    """Raises UsageError where TorchServe is missing, or yaml, without which its workers die."""
    if importlib.util.find_spec("ts") is None or importlib.util.find_spec("yaml") is None:
        raise UsageError(NO_TORCHSERVE)


def is_unsolved(answer: Path) -> bool:
    """Whether something of the stub is still to be written in the file."""
    return f'NotImplementedError("TODO {TASK:03d}")' in answer.read_text(encoding="utf-8", errors="replace")


def build(answer: Path, folder: Path) -> Path:
    """The archive that the learner's build_archive makes of the learner's own file and a probe."""
    probe, store = folder / "probe.pt", folder / "store"
    write_probe(probe)
    store.mkdir()
    try:
        load_submission(answer).build_archive(MODEL, "1.0", probe, answer, store)
    except SubmissionError as error:
        raise Unfit(str(error)) from error
    except Exception as error:
        raise Unfit(f"build_archive 拋出 {type(error).__name__}: {error}") from error
    found = sorted(path.name for path in store.iterdir())
    if f"{MODEL}.mar" not in found:
        raise Unfit(f"build_archive 沒有寫出 {MODEL}.mar，export_path 裡有 {found}")
    return store / f"{MODEL}.mar"


def serve(task: Task, target: Path) -> bool:
    """Whether the answer in `target` holds on a real server; one line is printed for each check."""
    answer = target / task.path
    if not answer.is_file():
        raise UsageError(f"找不到 {answer}")
    if is_unsolved(answer):
        print(f"第 {task.id} 題還沒寫完：{answer} 裡還有 TODO；kata show {task.id} 看題目，kata hint {task.id} 要提示")
        return False
    java = find_java()
    require_torchserve()
    with tempfile.TemporaryDirectory(prefix="kata-serve-", ignore_cleanup_errors=True) as name:
        return serve_in(Path(name).resolve(), answer, java)


def serve_in(folder: Path, answer: Path, java: str) -> bool:
    """The same, with a folder for all files."""
    step = "build_archive 寫出封存檔"
    try:
        archive = build(answer, folder)
        say(True, step, archive.name)
        print("在 127.0.0.1 啟動 TorchServe（半分鐘以內）", flush=True)
        step = "TorchServe 讀得懂封存檔，worker 就緒"
        with serving(folder, archive.parent, java) as server:
            server.register(archive)
            say(True, step)
            passed = examine(server.post)
            if not passed and (error := server.last_error()):
                print(f"worker 的記錄：handler 拋出 {error}")
            return passed
    except TimeoutError:
        say(False, step, f"{STARTING:g} 秒沒有回答；initialize 卡住了嗎")
    except (Unfit, OSError, http.client.HTTPException) as error:
        say(False, step, str(error) or type(error).__name__)
    return False


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 all passed, 1 not, 2 it could not be tried here."""
    parser = argparse.ArgumentParser(prog="python -m torch_kata.serve", description=__doc__)
    parser.add_argument("--target", default="exercises", metavar="exercises|solutions|DIR", help="whose archive")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a GBK or ASCII terminal shows what it can
            stream.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        [task] = [task for task in Catalog().tasks if task.id == TASK]
        return 0 if serve(task, resolve_target(options.target)) else 1
    except UsageError as error:
        print(f"serve: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("中斷了；沒有留下伺服器", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
