"""Answers that cheat, break things or went wrong by accident, each graded by the real runner.

Each is the reference solution of task 29 apart from one deed (a few are wrong besides, and try to hide it), so that
the deed alone decides. Where the verdict is "passed" the deed is harmless, and the case says why.
"""

import json
import os
import textwrap
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

from torch_kata.catalog import ROOT, Catalog
from torch_kata.diagnosis import write_answer
from torch_kata.grading import Settings, grade, request_for
from torch_kata.runner import limits
from torch_kata.runner.pool import CAN_FORK, Pool
from torch_kata.verdict import Verdict

TASK = next(task for task in Catalog().tasks if task.id == 29)
RIGHT = TASK.solution.read_text(encoding="utf-8")
WRONG = RIGHT.replace("F.softplus(-z)\n", "F.softplus(-z) * 1.01\n")
QUICK = {"seconds": 15.0, "check_seconds": 3.0}
LANDLOCK = limits._landlock_version()
TOKEN = f"KATA_HOSTILE_{uuid.uuid4().hex}"

pytestmark = [pytest.mark.skipif(not CAN_FORK, reason="the warm server forks"), pytest.mark.timeout(300)]


# ── how an answer differs from the right one ──


def at_import(deed: str, answer: str = RIGHT) -> str:
    return answer + "\n\n" + textwrap.dedent(deed)


def in_init(deed: str, answer: str = RIGHT) -> str:
    return _inserted(deed, "        super().__init__()\n", answer)


def in_forward(deed: str, answer: str = RIGHT) -> str:
    return _inserted(deed, '        """logits (*)、targets (*) -> (*)，或純量。"""\n', answer)


def around_forward(deed: str) -> str:
    """The deed has `result`, and may replace it."""
    code = RIGHT.replace("        return loss if", "        result = loss if") + textwrap.indent(
        textwrap.dedent(deed).strip() + "\nreturn result\n", " " * 8
    )
    return code


def once(deed: str) -> str:
    """Only the first call does it, in whatever process."""
    return "if not hasattr(FocalLoss, 'done'):\n    FocalLoss.done = True\n" + textwrap.indent(
        textwrap.dedent(deed).strip(), "    "
    )


def _inserted(deed: str, line: str, answer: str) -> str:
    assert answer.count(line) == 1
    return answer.replace(line, line + textwrap.indent(textwrap.dedent(deed).strip(), " " * 8) + "\n")


# ── the table ──


@dataclass(frozen=True)
class Case:
    """`answer` is the file's text, or what puts it (or something else) at a path. `text` stands in a message."""

    name: str
    answer: str | bytes | Callable[[Path], None]
    status: str
    text: str = ""
    limits: dict = field(default_factory=dict)
    extra: Callable[[Verdict], bool] = lambda verdict: True
    needs: int = 0
    """The version of Landlock without which the deed is not prevented."""
    alone: bool = False
    """Nothing else runs meanwhile; afterwards nothing of it is left, and a right answer passes."""


def alone(*arguments, **options) -> Case:
    return Case(*arguments, alone=True, **options)


SLEEP = "import time\nwhile True:\n    time.sleep(0.01)"
STUBBORN = """
    import time
    while True:
        try:
            time.sleep(0.01)
        except:
            pass
"""

RUNAWAY = [
    Case("loop at import", at_import(SLEEP), "timeout", "超過 3 秒", QUICK),
    Case("loop in forward", in_forward(SLEEP), "timeout", "超過 3 秒", QUICK),
    Case("busy loop in forward", in_forward("while True:\n    pass"), "timeout", "超過 3 秒", QUICK),
    Case("loop that no exception ends", in_forward(STUBBORN), "timeout", "超過整題的時限 15 秒", QUICK),
    Case("loop at import that no exception ends", at_import(STUBBORN), "timeout", "超過整題的時限 15 秒", QUICK),
    Case(
        "limit swallowed, then a right answer",
        in_forward("import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass"),
        "timeout",
        "攔下了",
        QUICK,
        extra=lambda verdict: not any(check.outcome == "passed" for check in verdict.checks),
    ),
    Case(
        "limit swallowed at import",
        at_import("import time\ntry:\n    time.sleep(60)\nexcept BaseException:\n    pass"),
        "timeout",
        "攔下了",
        QUICK,
    ),
    Case("alarm off, then a loop", in_forward("import signal\nsignal.alarm(0)\n" + SLEEP), "timeout", "15 秒", QUICK),
    Case(
        "stops itself", in_forward("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"), "timeout", "15 秒", QUICK
    ),
    Case("torch.empty of 50 GB", in_forward("torch.empty(50 * 2**30, dtype=torch.uint8)"), "failed", "記憶體不足"),
    Case("torch.empty of 50 GB at import", at_import("torch.empty(50 * 2**30, dtype=torch.uint8)"), "failed", "memory"),
    Case("bytearray of 50 GB", in_forward("bytearray(50 * 2**30)"), "failed", "記憶體不足"),
    alone(
        "list that grows for ever",
        in_forward(once("held = []\nwhile True:\n    held.append(bytearray(2**20))")),
        "failed",
        "記憶體不足",
        {"memory_mb": 300},
    ),
    alone(
        "list that grows for ever at import",
        at_import("held = []\nwhile True:\n    held.append(bytearray(2**20))"),
        "failed",
        "MemoryError",
        {"memory_mb": 300},
    ),
    alone(
        "small objects without end",
        in_forward(once("held = []\nwhile True:\n    held.append([])")),
        "failed",
        "記憶體不足",
        {"memory_mb": 300},
    ),
    # A learner may print what they like; 2,000 characters of it are shown.
    Case(
        "prints 100 MB",
        in_forward(once("print('x' * 100_000_000)")),
        "passed",
        extra=lambda verdict: max(len(check.printed) for check in verdict.checks) == 2000,
    ),
    alone("prints for ever", in_forward(once("while True:\n    print('x' * 10_000_000)")), "failed", "File too large"),
]

FORKS = """
    import os
    for _ in range(9):
        if os.fork() == 0:
            for _ in range(8):
                if os.fork() == 0:
                    break
            break
"""

PROCESSES = [
    alone("fork goes on in the child, at import", at_import("import os\nos.fork()"), "failed", "沒有結束"),
    alone("fork goes on in the child, in forward", in_forward(once("import os\nos.fork()")), "failed", "沒有結束"),
    alone(
        "seventy children",
        at_import("""
            import os, time
            for _ in range(70):
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
            time.sleep(2)
        """),
        "crashed",
        "太多行程",
    ),
    alone("forks of forks", in_forward(once(FORKS)), "crashed", "太多行程"),
    alone(
        "daemon in a session of its own",
        at_import("""
            import os, time
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    time.sleep(60)
                os._exit(0)
        """),
        "failed",
        "沒有結束",
    ),
    alone(
        "child of multiprocessing",
        in_forward(
            once("import multiprocessing, time\nmultiprocessing.Process(target=time.sleep, args=(60,)).start()")
        ),
        "failed",
        "沒有結束",
    ),
    alone(
        "program left running",
        in_forward(once("import subprocess\nsubprocess.Popen(['sleep', '60'], start_new_session=True)")),
        "failed",
        "沒有結束：sleep 60",
    ),
    # Threads end with the process that ran the grader.
    Case(
        "thread left running",
        at_import("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()"),
        "passed",
    ),
    # exit() ends the thread alone.
    Case("exit() in a thread", in_forward("import threading\nthreading.Thread(target=exit).start()"), "passed"),
    Case("segmentation fault", in_forward("import ctypes\nctypes.string_at(0)"), "crashed", "SIGSEGV"),
    Case("abort", in_init("import os\nos.abort()"), "crashed", "SIGABRT"),
    Case("kills itself", at_import("import os\nos.kill(os.getpid(), 9)"), "crashed", "SIGKILL"),
    alone("kills its group", in_forward("import os\nos.killpg(0, 9)"), "crashed", "SIGKILL"),
    alone(
        "kills its parent",
        in_forward("import os\nos.kill(os.getppid(), 9)"),
        "failed" if LANDLOCK >= 6 else "crashed",
        "Operation not permitted" if LANDLOCK >= 6 else "評分行程不見了",
    ),
    alone(
        "kills its parent and leaves a daemon",
        in_forward("""
            import os, time
            if os.fork() == 0:
                os.setsid()
                time.sleep(60)
            try:
                os.kill(os.getppid(), 9)
            finally:
                os._exit(3)
        """),
        "crashed",
        "狀態 3" if LANDLOCK >= 6 else "評分行程不見了",
    ),
    Case("sys.exit(0) at import", at_import("import sys\nsys.exit(0)"), "failed", "SystemExit: 0"),
    Case("sys.exit(0) in forward", in_forward("import sys\nsys.exit(0)"), "failed", "sys.exit(0)"),
    Case("os._exit(0) at import", at_import("import os\nos._exit(0)"), "crashed", "狀態 0"),
    Case("os._exit(0) in forward", in_forward("import os\nos._exit(0)"), "crashed", "狀態 0"),
    # A handler for the end of the interpreter never runs: the process ends at once.
    Case("atexit", at_import("import atexit, os\natexit.register(os._exit, 1)"), "passed"),
]

ESCAPES = [
    *(
        Case(f"pytest.{name} in forward", in_forward(f"import pytest\npytest.{name}('x')"), "failed", f"pytest.{name}")
        for name in ("skip", "exit", "xfail", "fail")
    ),
    Case(
        "pytest.skip at import", at_import("import pytest\npytest.skip('x', allow_module_level=True)"), "failed", "Skip"
    ),
    Case("pytest.exit at import", at_import("import pytest\npytest.exit('x', 0)"), "failed", "匯入時拋出 Exit"),
    *(
        Case(f"{name} at import", at_import(f"raise {name}"), "failed", f"匯入時拋出 {name}")
        for name in ("GeneratorExit", "SystemExit")
    ),
    *(
        Case(f"{name} {where}", how(f"raise {name}"), "failed", text)
        for where, how in (("in init", in_init), ("in forward", in_forward))
        for name, text in (
            ("KeyboardInterrupt", "Keyboard"),
            ("GeneratorExit", "Generator"),
            ("SystemExit", "sys.exit"),
        )
    ),
    *(
        Case(
            f"BaseException of its own {where}",
            how("raise type('Mine', (BaseException,), {})('x')"),
            "failed",
            "Mine: x",
        )
        for where, how in (("at import", at_import), ("in forward", in_forward))
    ),
    *(
        Case(
            f"exception whose __str__ raises, {where}",
            how("raise type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})('x')"),
            "failed",
            "Mute: （它的 __str__ 又拋出 ZeroDivisionError）",
        )
        for where, how in (("at import", at_import), ("in forward", in_forward))
    ),
    Case("exception with half a character", in_forward(r"raise ValueError('\ud83d')"), "failed", "ValueError: ?"),
    Case(
        "the engine's own way out",
        in_forward("from torch_kata.checks import NotRunHere\nraise NotRunHere('x')"),
        "failed",
        "NotRunHere",
    ),
    Case(
        "KeyboardInterrupt at import", at_import("raise KeyboardInterrupt"), "failed", "你的程式拋出 KeyboardInterrupt"
    ),
    Case("breakpoint()", in_forward("breakpoint()"), "failed", "breakpoint()"),
    Case("input()", in_forward("input()"), "failed", "input()"),
]


def patched(target: str, value: str = "lambda *a, **k: True", by: str = "", name: str = "", how=in_forward) -> Case:
    """The attribute is replaced for good."""
    modules = ", ".join(["builtins", "json", "sys", "time", "random", "pytest", "numpy", "torch.testing", *by.split()])
    deed = f"import {modules}\n{target} = {value}"
    return Case(f"patches {target}", how(deed), "failed", f"替換了 {name or target}")


NEVER_FAR = once("""
    from torch import library
    FocalLoss.held = library.Library('aten', 'IMPL')
    FocalLoss.held.impl('abs', lambda x: torch.zeros_like(x), 'CPU')
""")

PATCHES = [
    patched("torch.allclose"),
    patched("torch.equal", how=at_import),
    patched("torch.testing.assert_close"),
    patched("torch.isfinite"),
    patched("torch.Tensor.__eq__", "lambda a, b: torch.ones(())"),
    patched("torch.Tensor.isfinite", "lambda a: torch.ones(())"),
    patched("torch.Tensor.any", "lambda a, *b: torch.zeros(())", how=at_import),
    patched("torch.nn.Module.__call__", "lambda self, *a: torch.zeros(())"),
    patched("torch.float64", "torch.bfloat16"),
    patched("time.perf_counter", "lambda: 0.0"),
    patched("builtins.isinstance", "lambda a, b, f=isinstance: f(a, b)"),
    patched("builtins.abs", "lambda a: 0"),
    patched("builtins.all", "lambda a: True"),
    patched("builtins.__import__", "lambda *a, f=__import__, **k: f(*a, **k)"),
    patched("sys._getframe", "lambda depth=0: None"),
    patched("numpy.allclose"),
    patched("numpy.random.seed"),
    patched("random.seed", how=at_import),
    patched("json.dumps", "lambda *a, f=json.dumps, **k: f(*a, **k).replace('failed', 'passed')"),
    patched("pytest.raises"),
    patched("_pytest.runner.CallInfo.from_call", "classmethod(lambda *a, **k: None)", "_pytest.runner"),
    patched("torch_kata.checks.assert_close", by="torch_kata.checks", how=at_import),
    patched("torch_kata.checks.closeness.plain_tensor", "lambda a, b='': a", "torch_kata.checks.closeness"),
    patched("torch_kata.checks.closeness.torch", "torch", "torch_kata.checks.closeness"),
    patched("torch_kata.checks.closeness.TOLERANCES", "{}", "torch_kata.checks.closeness", how=at_import),
    patched(
        "torch_kata.checks.closeness.TOLERANCES['float32']",
        "(9, 9)",
        "torch_kata.checks.closeness",
        "torch_kata.checks.closeness.TOLERANCES",
    ),
    patched(
        "torch_kata.checks.closeness._differences.__code__",
        "(lambda *a: ()).__code__",
        "torch_kata.checks.closeness",
        "torch_kata.checks.closeness._differences",
    ),
    patched("torch_kata.integrity.seal", "lambda *a: lambda: ''", "torch_kata.integrity"),
    patched("torch_kata.runner.request.Channel.send", by="torch_kata.runner.request"),
    Case(
        "patches the oracle in the grader",
        in_forward("import sys\nsys.modules[next(n for n in sys.modules if 'test_t029' in n)].focal_loss = self"),
        "failed",
        "focal_loss：評分所依賴的函式",
    ),
    Case(
        "patches in a thread, later",
        at_import("""
            import threading, time
            def later():
                while True:
                    time.sleep(0.001)
                    torch.allclose = lambda *a, **k: True
            threading.Thread(target=later, daemon=True).start()
        """),
        "failed",
        "替換了 torch.allclose",
    ),
    Case(
        "forward hook for every module",
        in_forward("nn.modules.module.register_module_forward_hook(lambda *a: None)"),
        "failed",
        "_global_forward_hooks",
    ),
    Case(
        "a mode that sees every call",
        in_forward("""
            from torch.overrides import TorchFunctionMode
            class Mode(TorchFunctionMode):
                def __torch_function__(self, f, types, args=(), kwargs=None):
                    return f(*args, **(kwargs or {}))
            Mode().__enter__()
        """),
        "failed",
        "TorchFunctionMode",
    ),
    *(
        Case(f"replaces an operator {where}", how(NEVER_FAR, WRONG), "failed", "評分用來比較的運算")
        for where, how in (("at import", at_import), ("in forward", in_forward))
    ),
    Case("sys.settrace", in_forward("import sys\nsys.settrace(lambda *a: None)"), "failed", "sys.settrace"),
    Case("sys.setprofile", at_import("import sys\nsys.setprofile(lambda *a: None)"), "failed", "sys.setprofile"),
    Case(
        "says that it is timed for a table only",
        in_init("from torch_kata.checks import record\nrecord.current.bench = True"),
        "failed",
        "動了 torch_kata",
    ),
    Case(
        "says that its code is not the learner's",
        at_import("from torch_kata.checks import learner\nlearner.FILES.clear()"),
        "failed",
        "動了 torch_kata",
    ),
]

FORGED = json.dumps({"kind": "check", "check": {"name": "test_speed", "outcome": "passed"}})
JUNIT = "<testsuite tests='31' failures='0'/>"
MAN_IN_THE_MIDDLE = """
    import os, socket, stat, threading
    number = next(n for n in map(int, os.listdir('/proc/self/fd')) if stat.S_ISSOCK(os.stat(f'/dev/fd/{n}').st_mode))
    ours, theirs = socket.socketpair()
    channel = socket.socket(fileno=os.dup(number))
    os.dup2(theirs.fileno(), number)
    theirs.close()

    def relay():
        while data := ours.recv(1 << 20):
            channel.sendall(data.replace(b'"failed"', b'"passed"'))

    threading.Thread(target=relay, daemon=True).start()
"""

FORGERIES = [
    alone(
        "empties the list of tests, found by gc",
        in_forward(
            """
            import gc, _pytest.main
            for thing in gc.get_objects():
                if type(thing) is _pytest.main.Session:
                    thing.items.clear()
        """,
            WRONG,
        ),
        "crashed",
        "檢查沒有執行",
    ),
    Case(
        "empties the list of tests, found by pytest's modules",
        in_forward("""
            import sys
            sys.modules['_pytest.assertion.util']._config.pluginmanager.get_plugin('session').items.clear()
        """),
        "crashed",
        "檢查沒有執行",
    ),
    Case(
        "prints a result",
        at_import(f"print({FORGED!r})\nprint('31 passed')\nprint({JUNIT!r})", WRONG),
        "failed",
        "應為",
    ),
    Case(
        "writes a result file",
        at_import(f"open('junit.xml', 'w').write({JUNIT!r})\nopen('verdict.json', 'w').write({FORGED!r})", WRONG),
        "failed",
        "應為",
    ),
    alone(
        "garbage to every file",
        in_forward("""
            import os
            for number in range(3, 51):
                try:
                    os.write(number, b'garbage\\n')
                except OSError:
                    pass
        """),
        "crashed",
        "私有管道",
    ),
    Case(
        "a result without the key to every file",
        at_import(
            f"""
            import os
            for number in range(3, 51):
                try:
                    os.write(number, {FORGED.encode()!r} + b'\\n')
                except OSError:
                    pass
        """,
            WRONG,
        ),
        "crashed",
        "私有管道",
    ),
    Case("edits what goes over the channel", at_import(MAN_IN_THE_MIDDLE, WRONG), "crashed", "私有管道"),
    alone("closes every file", in_forward("import os\nos.closerange(0, 100)"), "crashed", "私有管道斷了"),
    alone("closes every file at import", at_import("import os\nos.closerange(3, 100)"), "crashed", "私有管道斷了"),
    Case("closes sys.stdout", in_forward("import sys\nsys.stdout.close()"), "crashed", "關掉了 sys.stdout"),
    Case("replaces sys.stdout", in_forward("import io, sys\nsys.stdout = io.StringIO()"), "failed", "sys.stdout"),
    Case(
        "always equal",
        around_forward("""
            class Equal(torch.Tensor):
                def __eq__(self, other):
                    return True
                @classmethod
                def __torch_function__(cls, f, types, args=(), kwargs=None):
                    return True
            result = result.as_subclass(Equal)
        """),
        "failed",
        "應為 torch.Tensor",
    ),
    Case(
        "lazy",
        around_forward("""
            class Lazy:
                shape, dtype = result.shape, result.dtype
                def __torch_function__(self, f, types, args=(), kwargs=None):
                    return f(*(result if isinstance(a, Lazy) else a for a in args), **(kwargs or {}))
            result = Lazy()
        """),
        "failed",
        "應為 torch.Tensor",
    ),
]


def writes(path: str, name: str, how=at_import, refused: str = "Permission denied") -> Case:
    where = ROOT / path / "hostile_probe.py"

    def untouched(verdict) -> bool:
        found = where.exists()
        where.unlink(missing_ok=True)
        return not found

    deed = f"import os\nos.makedirs({str(where.parent)!r}, exist_ok=True)\nopen({str(where)!r}, 'w').write('x')"
    return Case(f"writes into {name}", how(deed), "failed", refused, extra=untouched, needs=1)


def beside(files: dict[str, str]) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        path.parent.mkdir(parents=True)
        path.write_text(RIGHT, encoding="utf-8")
        for name, text in files.items():
            (path.parent / name).write_text(text, encoding="utf-8")
            (path.parent.parent / name).write_text(text, encoding="utf-8")

    return put


ABORT = "raise SystemExit('imported')"
COLLECT_ONLY = "[pytest]\naddopts = --collect-only\n"

FILES = [
    writes("exercises/ch3_models", "exercises"),
    writes("solutions/ch3_models", "solutions", in_forward, "不能讀取"),
    writes("graders/ch3_models", "graders", at_import, "不能讀取"),
    writes(".kata", ".kata", in_init),
    Case(
        "writes conftest.py beside itself",
        at_import("open(__file__.rpartition('/')[0] + '/conftest.py', 'w').write('x')"),
        "failed",
        "Permission denied",
        needs=1,
    ),
    # Files of these names beside an answer are not read.
    Case("conftest.py and pytest.ini beside it", beside({"conftest.py": ABORT, "pytest.ini": COLLECT_ONLY}), "passed"),
    # The standard library and what is installed come first.
    Case("random.py and torch.py beside it", beside({"random.py": ABORT, "torch.py": ABORT}), "passed"),
    Case("opens the solution", at_import(f"open({str(TASK.solution)!r}).read()"), "failed", "不能讀取"),
    Case("opens the grader", in_forward(f"open({str(TASK.grader)!r}).read()"), "failed", "不能讀取"),
    Case(
        "opens the solution from a thread",
        in_forward(f"""
            import threading
            found = []
            thread = threading.Thread(target=lambda f=open: found.append(f({str(TASK.solution)!r}).read()))
            thread.start()
            thread.join()
            if not found:
                raise RuntimeError('refused')
        """),
        "failed",
        "refused",
    ),
    Case(
        "opens the solution in a process of its own",
        in_forward(f"import subprocess\nsubprocess.run(['cat', {str(TASK.solution)!r}], check=True)"),
        "failed",
        "CalledProcessError",
        needs=1,
    ),
    Case(
        "imports the solution by its path",
        at_import(f"""
            import importlib.util
            spec = importlib.util.spec_from_file_location('answer', {str(TASK.solution)!r})
            FocalLoss = spec.loader.load_module().FocalLoss
        """),
        "failed",
        "不能讀取",
    ),
    Case(
        "imports the solution through sys.path",
        at_import(f"""
            import sys
            sys.path.insert(0, {str(ROOT)!r})
            from solutions.ch3_models.t029_focal_loss import FocalLoss
        """),
        "failed",
        "solutions",
    ),
    Case(
        "imports the grader",
        at_import(f"import sys\nsys.path.insert(0, {str(TASK.grader.parent)!r})\nimport test_t029_focal_loss"),
        "failed",
        "test_t029_focal_loss",
    ),
    Case(
        "reads the solution from git",
        at_import(f"""
            import subprocess
            subprocess.run(['git', '-C', {str(ROOT)!r}, 'show', 'HEAD:solutions/{TASK.path}'], check=True)
        """),
        "failed",
        "CalledProcessError",
        needs=1,
    ),
    Case(
        "looks for the reference among the classes",
        at_import("""
            found = [c for c in nn.Module.__subclasses__() if c.__name__ == 'FocalLoss' and c is not FocalLoss]
            FocalLoss = found[0]
        """),
        "failed",
        "IndexError",
    ),
    # The folder is the run's own.
    Case(
        "deletes the temporary folder",
        in_forward("import shutil, tempfile\nshutil.rmtree(tempfile.gettempdir(), ignore_errors=True)"),
        "passed",
    ),
]

SETTINGS = [
    *(
        Case(f"{deed} {where}", how(f"import os, sys\n{deed}"), "failed", text)
        for deed, text in (
            ("torch.set_default_dtype(torch.float64)", "torch.get_default_dtype()"),
            ("torch.set_num_threads(2)", "torch.get_num_threads()"),
            ("torch.set_default_device('meta')", "torch.get_default_device()"),
            ("torch.set_grad_enabled(False)", "torch.is_grad_enabled()"),
            ("os.chdir('/')", "os.getcwd()"),
            ("os.environ['PATH'] = ''", "環境變數 PATH"),
        )
        for where, how in (("at import", at_import), ("in init", in_init))
    ),
    # Warnings are pytest's own in each check, and the answer gives none.
    Case("warnings as errors", at_import("import warnings\nwarnings.simplefilter('error')"), "passed"),
    # The clock of a check cannot be relied on in Python alone: the supervisor has one of its own.
    Case(
        "alarm off and handlers replaced",
        in_forward("import signal\nsignal.alarm(0)\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)"),
        "passed",
    ),
    # The inputs come from generators of their own: only the check of this very side effect notices.
    Case(
        "seeds the generators",
        in_forward("import random\nrandom.seed(0)\ntorch.manual_seed(0)"),
        "failed",
        "全域亂數狀態被動到了",
        extra=lambda verdict: {check.function for check in verdict.failures} == {"test_definition"},
    ),
]


def content(data: bytes) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        path.parent.mkdir(parents=True)
        path.write_bytes(data)

    return put


def loop(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.symlink_to(path)


ACCIDENTS = [
    Case("empty", content(b""), "failed", "檔案裡沒有 FocalLoss"),
    Case("binary", content(bytes(range(1, 256)) * 9), "failed", "檔案不是 UTF-8"),
    Case("NUL bytes", content(RIGHT.encode() + b"\n\0\0\n"), "failed", "null bytes"),
    Case("Latin-1", content(RIGHT.encode() + "\n# é\n".encode("latin-1")), "failed", "檔案不是 UTF-8"),
    # Python reads all of these.
    Case("byte order mark and CRLF", content(RIGHT.replace("\n", "\r\n").encode("utf-8-sig")), "passed"),
    Case("10 MB long", content(RIGHT.encode() + b"# a comment\n" * 900_000), "passed"),
    Case("missing", lambda path: path.parent.mkdir(parents=True), "failed", "找不到檔案"),
    Case("a folder", lambda path: path.mkdir(parents=True), "failed", "不是檔案"),
    Case("a link to itself", loop, "failed", "找不到檔案"),
    Case("a pipe", lambda path: (path.parent.mkdir(parents=True), os.mkfifo(path)), "failed", "不是檔案"),
    Case("nested too deeply", at_import("x = " + "(" * 300 + ")" * 300), "failed", "語法錯誤"),
]

CASES = [*RUNAWAY, *PROCESSES, *ESCAPES, *PATCHES, *FORGERIES, *FILES, *SETTINGS, *ACCIDENTS]
CASES.sort(key=lambda case: case.alone)
assert len({case.name for case in CASES}) == len(CASES)


# ── grading ──


@pytest.fixture(scope="module")
def pool():
    os.environ[TOKEN] = "1"
    with Pool([TASK]) as pool:
        yield pool
    del os.environ[TOKEN]
    assert processes() == []


def processes(*known: int) -> list[str]:
    """What runs of the pool's: every descendant of its server has the server's environment, whoever its parent is."""
    found = []
    for process in psutil.process_iter():
        try:
            ours = process.pid not in (os.getpid(), *known) and TOKEN in process.environ()
            found += [f"{process.pid} {process.cmdline()}"] if ours and process.is_running() else []
        except psutil.Error:
            continue
    return found


def graded(case: Case, pool: Pool, folder: Path, **options) -> Verdict:
    path = folder / TASK.path
    if callable(case.answer):
        case.answer(path)
    else:
        write_answer(TASK, case.answer, folder)
    settings = Settings(folder, 7, **{"diagnose": False, **options})
    return list(grade([replace(TASK, **case.limits)], settings, pool))[0]


@pytest.fixture(scope="module")
def running(request, pool, tmp_path_factory):
    """A future verdict for each selected case that may run beside others: those that wait for a limit use no core."""
    pool.start()
    waiting, working = ThreadPoolExecutor(5), ThreadPoolExecutor(2)
    selected = [item.callspec.params["case"] for item in request.session.items if item.originalname == "test_verdict"]
    with waiting, working:
        yield {
            case.name: (waiting if case.limits else working).submit(
                graded, case, pool, tmp_path_factory.mktemp("answer")
            )
            for case in selected
            if not case.alone
        }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict(case, running, pool, tmp_path):
    if case.needs > LANDLOCK:
        pytest.skip(f"prevented from version {case.needs} of Landlock on")
    verdict = graded(case, pool, tmp_path) if case.alone else running[case.name].result()
    messages = [verdict.message, *(check.message for check in verdict.failures)]
    assert verdict.status == case.status, messages
    assert any(case.text in message for message in messages), set(messages)
    assert verdict.seconds < 2 * case.limits.get("seconds", TASK.seconds)
    assert case.extra(verdict)
    if case.alone:
        assert left(pool) == []
        assert passes(pool)


def left(pool: Pool) -> list[str]:
    """What is left of earlier runs; a supervisor needs a moment after it has told the result."""
    deadline = time.monotonic() + 10
    while (found := processes(pool._server.process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def passes(pool: Pool) -> bool:
    run = pool.run(request_for(TASK, Settings(TASK.root / "solutions", 7), "correct"))
    return run.fault is None and all(check.outcome == "passed" for check in run.checks if check.category != "speed")


def test_right_answer_after_all_of_them(pool):
    assert left(pool) == []
    assert list(grade([TASK], Settings(TASK.root / "solutions", 7), pool))[0].status == "passed"


def test_no_diagnosis_is_made_up(pool, tmp_path):
    case = Case("patches", in_forward("torch.allclose = None"), "failed")
    verdict = graded(case, pool, tmp_path, diagnose=True)
    assert verdict.status == "failed"
    assert [check.diagnosis for check in verdict.failures if check.diagnosis] == []


# ── where there is no fork ──

FRESH = [
    Case("right", RIGHT, "passed"),
    Case("limit", in_forward(SLEEP), "timeout", "超過 3 秒", QUICK),
    Case("hard limit", in_forward(STUBBORN), "timeout", "超過整題的時限 15 秒", QUICK),
    Case("os._exit(0)", in_forward("import os\nos._exit(0)"), "crashed", "狀態 0"),
    Case("closes every file", at_import("import os\nos.closerange(3, 100)"), "crashed", "私有管道斷了"),
    next(case for case in PATCHES if case.name == "patches torch.allclose"),
    next(case for case in PROCESSES if case.name == "daemon in a session of its own"),
    next(case for case in FILES if case.name == "writes into exercises"),
]


@pytest.fixture(scope="module")
def running_fresh(request, pool, tmp_path_factory):
    selected = [item.callspec.params["case"] for item in request.session.items if item.originalname == "test_fresh"]
    with Pool([TASK], fork=False) as fresh, ThreadPoolExecutor(3) as executor:
        yield {case.name: executor.submit(graded, case, fresh, tmp_path_factory.mktemp("answer")) for case in selected}


@pytest.mark.parametrize("case", FRESH, ids=lambda case: case.name)
def test_fresh(case, running_fresh):
    if case.needs > LANDLOCK:
        pytest.skip(f"prevented from version {case.needs} of Landlock on")
    verdict = running_fresh[case.name].result()
    messages = [verdict.message, *(check.message for check in verdict.failures)]
    assert verdict.status == case.status, messages
    assert any(case.text in message for message in messages), set(messages)
    assert case.extra(verdict)


def test_fresh_leaves_nothing(running_fresh, pool):
    assert left(pool) == []
