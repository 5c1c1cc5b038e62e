"""Programs run apart, time limits, and what is left running or open."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import psutil
import pytest
import torch

from torch_kata.checks import call_within, nothing_left_open, nothing_left_running, run_program, run_python
from torch_kata.checks.record import CheckFailed

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def refusal(function, *arguments, **keywords):
    """The message of the failure that a call must end with."""
    with pytest.raises(CheckFailed) as caught:
        function(*arguments, **keywords)
    return str(caught.value)


def says(message, *parts):
    """Whether all parts stand in the message, which is one line."""
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, (part, message)


def gone(pid, seconds=10):
    """Whether a process ends within some time."""
    deadline = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


# ── programs ──


def test_run_python(tmp_path):
    (tmp_path / "kata_beside.py").write_text("VALUE = '值'")
    code = "import kata_beside, os, sys; print(kata_beside.VALUE, sys.argv[1:], os.getcwd())"
    printed = run_python(code, "a b", "-c", cwd=tmp_path, path=[tmp_path])
    assert printed == f"值 ['a b', '-c'] {tmp_path}\n"


def test_run_python_knows_nothing_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "kata_beside.py").write_text("")
    says(refusal(run_python, "import kata_beside"), "狀態 1", "ModuleNotFoundError", "kata_beside")


@pytest.mark.parametrize(
    "code, parts",
    [
        ("raise ValueError('bad 5')", ["狀態 1", "ValueError: bad 5"]),
        ("import sys; sys.exit(3)", ["狀態 3", "（沒有訊息）"]),
        ("import os; os.abort()", ["狀態 -6"]),
        ("import sys; sys.stderr.buffer.write(b'\\xff\\xfe bad'); sys.exit(1)", ["狀態 1", "bad"]),
        ("input()", ["EOFError"]),
    ],
)
def test_run_python_that_fails(code, parts):
    says(refusal(run_python, code), "在新的行程裡執行失敗", *parts)


def test_run_program(tmp_path):
    code = "import os, sys; print(os.environ['KATA_A']); print('err', file=sys.stderr); sys.exit(4)"
    finished = run_program([sys.executable, "-c", code], env={"KATA_A": "壹"}, cwd=tmp_path)
    assert (finished.returncode, finished.stdout, finished.stderr) == (4, "壹\n", "err\n")
    assert run_program([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\xff')"]).stdout == "\ufffd"
    with pytest.raises(FileNotFoundError):
        run_program([tmp_path / "no such program"])


def test_a_program_over_time_is_ended_with_its_children(tmp_path):
    note = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\n"
        f"child = subprocess.Popen({SLEEP!r})\n"
        f"open({str(note) + '.part'!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename({str(note) + '.part'!r}, {str(note)!r})\n"
        "time.sleep(60)\n"
    )
    start = time.monotonic()
    seconds = 0.5
    while not note.exists():  # on a busy machine it may not even have started by then
        seconds *= 2
        says(refusal(run_program, [sys.executable, "-c", code], seconds=seconds), f"超過 {seconds:g} 秒還沒結束")
    assert time.monotonic() - start < 30
    assert all(gone(int(pid)) for pid in note.read_text().split())
    says(refusal(run_python, "while True: pass", seconds=0.2), "超過 0.2 秒")


# ── time limits ──


def test_call_within():
    assert call_within(10, lambda x, y: x - y, 5, y=2) == 3
    with pytest.raises(KeyError, match="a"):
        call_within(10, {}.__getitem__, "a")
    with pytest.raises(SystemExit):
        call_within(10, sys.exit, 2)


def test_call_that_does_not_return():
    release = threading.Event()
    start = time.monotonic()
    says(refusal(call_within, 0.1, release.wait, what="關閉"), "關閉超過 0.1 秒還沒返回")
    assert time.monotonic() - start < 5
    with nothing_left_running(1):  # the thread that hangs is ours
        pass
    release.set()


# ── what is left running ──


def test_nothing_left():
    with nothing_left_running():
        pass
    with nothing_left_running():
        thread = threading.Thread(target=time.sleep, args=(0.1,))
        thread.start()
        subprocess.run([sys.executable, "-c", ""], check=True)
    assert not thread.is_alive()


def test_what_was_running_before():
    stop = threading.Event()
    thread, process = threading.Thread(target=stop.wait), subprocess.Popen(SLEEP)
    thread.start()
    try:
        with nothing_left_running(0.5):
            pass
    finally:
        stop.set()
        process.kill()
        process.wait()


def test_a_thread_left_running():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="worker-7")
    try:
        with pytest.raises(CheckFailed) as caught, nothing_left_running(0.1):
            thread.start()
    finally:
        stop.set()
    says(str(caught.value), "還有 1 個執行緒沒有結束", "worker-7")


def test_a_process_left_running():
    processes = []
    try:
        with pytest.raises(CheckFailed) as caught, nothing_left_running(0.1):
            processes.append(subprocess.Popen(SLEEP))
        says(str(caught.value), "還有 1 個行程沒有結束", "time.sleep(60)")
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_time_that_is_given_to_end():
    with nothing_left_running(20):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.3)"])
    process.wait()


def test_a_process_that_ended_and_was_not_waited_for():
    with nothing_left_running(20):
        process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()


def test_helpers_of_multiprocessing_do_not_count():
    with nothing_left_running(1):
        multiprocessing.resource_tracker.ensure_running()


class Numbers(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index


def test_workers_of_a_data_loader():
    with nothing_left_running():
        assert len(list(torch.utils.data.DataLoader(Numbers(), num_workers=1))) == 4
    loader = torch.utils.data.DataLoader(Numbers(), num_workers=1, persistent_workers=True)
    try:
        with pytest.raises(CheckFailed, match="1 個行程沒有結束"), nothing_left_running(0.1):
            list(loader)
    finally:
        loader._iterator._shutdown_workers()


def test_an_exception_of_the_block_comes_through(tmp_path):
    with pytest.raises(ZeroDivisionError), nothing_left_running(), nothing_left_open():
        raise ZeroDivisionError


# ── what is left open ──


def test_files_that_are_closed(tmp_path):
    path = tmp_path / "a.txt"
    with open(path, "w") as before, nothing_left_open():
        path.read_text()
        open(path).close()
        open(path)  # noqa: SIM115 nobody holds it
        before.write("a")


def test_files_left_open(tmp_path):
    path, kept = tmp_path / "a.txt", []
    path.write_text("a")
    with pytest.raises(CheckFailed) as caught, nothing_left_open():
        kept.append(open(path))  # noqa: SIM115
    says(str(caught.value), "有檔案沒有關閉", path)
    with pytest.raises(CheckFailed), nothing_left_open():
        kept.append(open(path))  # noqa: SIM115 the same file once more
    for file in kept:
        file.close()


def test_files_in_a_cycle_nobody_reaches(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    with nothing_left_open():
        cycle = [open(path)]  # noqa: SIM115
        cycle.append(cycle)
        del cycle


def test_descriptors_left_open(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a")
    with pytest.raises(CheckFailed), nothing_left_open():
        descriptor = os.open(path, os.O_RDONLY)
    os.close(descriptor)
