"""What confines a task. Each test acts in forked children: a limit once set stays, and pytest must stay free."""

import ctypes
import errno
import faulthandler
import multiprocessing
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

import psutil
import pytest

from torch_kata.runner import limits

pytestmark = pytest.mark.skipif(not limits.LINUX, reason="the limits are the Linux kernel's")
needs_landlock = pytest.mark.skipif(limits._landlock_version() < 1, reason="this kernel has no Landlock")


def in_child(function, *arguments):
    """The result of a call made in a forked process."""
    source, sink = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            answer = (True, function(*arguments))
        except BaseException:
            answer = (False, traceback.format_exc())
        os.write(sink, pickle.dumps(answer))
        os._exit(0)
    os.close(sink)
    with open(source, "rb") as file:
        content = file.read()
    os.waitpid(pid, 0)
    succeeded, result = pickle.loads(content)
    assert succeeded, result
    return result


def ending(task, *, seconds=20.0, memory_mb=2000):
    """How a task ended that was supervised, and whether anything of it was left after that."""

    def supervisor():
        limits.adopt_orphans()
        result = limits.supervise(fork(task), seconds=seconds, memory_mb=memory_mb)
        return result, psutil.Process().children(recursive=True)

    result, survivors = in_child(supervisor)
    assert survivors == []
    return result


def fork(task):
    pid = os.fork()
    if not pid:
        # A standard stream inherited from pytest would keep in_child's reader waiting for a process left behind.
        os._exit(task() or 0)
    return pid


def refused(action):
    """Whether the kernel refuses it; a cross-device error is how Landlock refuses some renames."""
    try:
        action()
    except OSError as error:
        assert error.errno in (errno.EACCES, errno.EXDEV), error
        return True
    return False


# --- Files ------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A project with a folder to write in, one to hide, and others beside them."""
    for name in ("work", "solutions", "exercises/ch1"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "t.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "link").symlink_to("solutions")
    return tmp_path


def confined(project, action):
    def confine_and_act():
        assert limits.confine_files([project / "work"], [project / "solutions", project / "absent"])
        return action()

    return in_child(confine_and_act)


@needs_landlock
def test_writes_only_inside(project):
    def action():
        (project / "work/new").mkdir()
        (project / "work/new/file").write_text("inside", encoding="utf-8")
        (project / "work/new/file").rename(project / "work/moved")
        (project / "work/new").rmdir()
        assert (project / "work/moved").read_text(encoding="utf-8") == "inside"
        os.truncate(project / "work/moved", 0)
        (project / "work/moved").unlink()
        outside = project / "exercises/ch1/t.py"
        return [
            refused(lambda: (project / "new").touch()),
            refused(lambda: (project / "new").mkdir()),
            refused(lambda: outside.write_text("", encoding="utf-8")),
            refused(lambda: open(outside, "a", encoding="utf-8")),
            refused(outside.unlink),
            refused(lambda: outside.rename(project / "work/taken")),
            refused(lambda: (project / "work/t.py").rename(project / "exercises/put.py")),
            refused(lambda: os.link(outside, project / "work/linked")),
            refused(lambda: (project / "solutions/t.py").write_text("", encoding="utf-8")),
            limits._landlock_version() < 3 or refused(lambda: os.truncate(outside, 0)),
        ]

    assert all(confined(project, action))


@needs_landlock
def test_hidden_folder_cannot_be_read_and_all_else_can(project):
    def action():
        script = f"import json, decimal; exec(open({str(project / 'exercises/ch1/t.py')!r}).read()); print(x)"
        output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        nested = subprocess.run(["cat", project / "solutions/t.py"], capture_output=True, check=False)
        return [
            output == "1\n",
            nested.returncode != 0 and nested.stdout == b"",
            os.listdir(project / "exercises") == ["ch1"],
            os.listdir(os.path.dirname(os.__file__)) != [],
            os.listdir("/proc/self/fd") != [],
            refused((project / "solutions/t.py").read_text),
            refused((project / "link/t.py").read_text),
            refused(lambda: open(f"/proc/self/root{project}/solutions/t.py", encoding="utf-8")),
            refused(lambda: os.listdir(project / "solutions")),
            refused(lambda: (project / "solutions").rename(project / "work/solutions")),
        ]

    assert all(confined(project, action))


@needs_landlock
def test_devices_and_shared_memory(project):
    def action():
        for device in ("/dev/null", "/dev/zero", "/dev/full"):
            open(device, "w", encoding="utf-8").close()
        with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
            file.write(b"x")
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
        os.close(os.openpty()[0])
        return refused(lambda: open("/dev/new", "w", encoding="utf-8"))

    assert confined(project, action)


@needs_landlock
@pytest.mark.parametrize("version", [1, 2, 3])
def test_older_kernels(project, monkeypatch, version):
    monkeypatch.setattr(limits, "_landlock_version", lambda: version)

    def action():
        (project / "work/new").write_text("inside", encoding="utf-8")
        (project / "work/new").rename(project / "work/moved")
        return refused((project / "solutions/t.py").read_text) and refused((project / "new").touch)

    assert confined(project, action)


def test_kernel_without_landlock(project, monkeypatch):
    monkeypatch.setattr(limits, "_landlock_version", lambda: -1)
    assert limits.confine_files([project / "work"], [project / "solutions"]) is False


@needs_landlock
def test_writable_and_hidden_folders_within_each_other(project):
    def action():
        limits.confine_files([project / "solutions/scratch", project / "exercises"], [project / "solutions", inner])
        (project / "solutions/scratch/file").write_text("x", encoding="utf-8")
        (project / "exercises/new").touch()
        assert (project / "solutions/scratch/file").read_text(encoding="utf-8") == "x"
        return refused((project / "solutions/t.py").read_text) and refused((inner / "t.py").read_text)

    inner = project / "exercises/ch1"
    (project / "solutions/scratch").mkdir()
    assert in_child(action)


@needs_landlock
def test_missing_writable_folder_is_an_error(project):
    with pytest.raises(FileNotFoundError):
        limits.confine_files([project / "absent"], [])
    (project / "free").touch()


# --- One process ------------------------------------------------------------------------------------------------


def test_memory_that_is_not_there():
    def task():
        limits.limit_memory(500)
        assert len(bytearray(200 * 2**20))
        with pytest.raises(MemoryError):
            bytearray(50 * 2**30)
        return "goes on"

    assert in_child(task) == "goes on"


def test_dies_with_its_parent():
    source, sink = os.pipe()
    me = os.getpid()

    def parent():
        if not os.fork():
            limits.die_with_parent()
            os.write(sink, b"ready")
            time.sleep(60)
        os.read(source, 5)

    assert os.getpid() == me
    in_child(parent)
    os.close(sink)
    began = time.monotonic()
    assert os.read(source, 1) == b""
    assert time.monotonic() - began < 5
    os.close(source)


# --- Supervising ------------------------------------------------------------------------------------------------


def test_exit_code_and_signal():
    def crash():
        faulthandler.disable()
        ctypes.string_at(0)

    normal, crashed = ending(lambda: 3), ending(crash)
    assert (normal.kind, normal.code, normal.leftover) == ("exited", 3, [])
    assert (crashed.kind, crashed.code) == ("signal", signal.SIGSEGV)


@pytest.mark.parametrize("way", ["pidfd", "asking"])
def test_reacts_at_once(monkeypatch, way):
    if way == "asking":
        monkeypatch.delattr(os, "pidfd_open", raising=False)

    def supervisor():
        limits.adopt_orphans()
        delays = []
        for _ in range(15):
            source, sink = os.pipe()
            # A small program, since the kernel takes 15 ms to take a process with torch apart.
            pid = fork(
                lambda sink=sink: os.dup2(sink, 1) and os.execvp("sh", ["sh", "-c", "sleep 0.03; exec date +%s.%N"])
            )
            limits.supervise(pid, seconds=10, memory_mb=1000)
            delays.append(time.time() - float(os.read(source, 99)))
            os.close(source), os.close(sink)
        return delays

    assert statistics.median(in_child(supervisor)) < 0.02


def test_endless_loop_ends_at_its_limit():
    def loop():
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        while True:
            pass

    result = ending(loop, seconds=0.3)
    assert (result.kind, result.code, result.leftover) == ("timeout", None, [])
    assert 0.3 <= result.seconds < 2


def test_memory_of_the_whole_tree():
    def hold(megabytes):
        content = bytearray(b"x") * (megabytes * 2**20)
        time.sleep(20)
        return len(content)

    def task():
        pids = [fork(lambda: hold(150)) for _ in range(3)]
        os.waitpid(pids[0], 0)

    result = ending(task, memory_mb=300)
    assert result.kind == "memory"
    assert len(result.leftover) == 3


def test_shared_pages_count_once():
    def task():
        content = bytearray(b"x") * (200 * 2**20)
        pids = [fork(lambda: time.sleep(0.3)) for _ in range(5)]
        for pid in pids:
            os.waitpid(pid, 0)
        return len(content) % 2

    assert ending(task, memory_mb=1000).kind == "exited"


def test_daemon_is_found_ended_and_reported():
    def task():
        def daemon():
            os.setsid()
            if not os.fork():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.execvp("sleep", ["sleep", "1234"])

        os.waitpid(fork(daemon), 0)
        time.sleep(0.1)

    result = ending(task)
    assert (result.kind, result.code) == ("exited", 0)
    assert result.leftover == ["sleep 1234"]


def test_fork_bomb():
    def bomb(generations):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range(2 if generations else 0):
            fork(lambda: bomb(generations - 1))
        time.sleep(20)

    result = ending(lambda: bomb(6), seconds=60)
    assert result.kind == "processes"
    assert len(result.leftover) >= limits.MAX_PROCESSES
    assert result.seconds < 20  # before the bomb burns out by itself


def test_process_that_flees_by_forking_again_and_again():
    def flee(generations):
        os.setsid()
        if generations and not os.fork():
            flee(generations - 1)
        os._exit(0)

    result = ending(lambda: os._exit(0 if os.fork() else flee(20_000)))
    assert (result.kind, result.code) == ("exited", 0)


def test_resource_tracker_is_not_reported_and_cleans_up():
    names, sink = os.pipe()

    def task():
        from multiprocessing import resource_tracker
        from multiprocessing.shared_memory import SharedMemory

        # An earlier test may have started this process's own tracker, which a fork would go on using.
        resource_tracker._resource_tracker._fd = resource_tracker._resource_tracker._pid = None
        memory = SharedMemory(create=True, size=1000)
        os.write(sink, memory.name.encode())
        os._exit(0)

    result = ending(task)
    assert result.leftover == []
    assert not os.path.exists(f"/dev/shm/{os.read(names, 99).decode()}")
    os.close(names), os.close(sink)


def test_children_from_before_are_left_alone():
    def supervisor():
        limits.adopt_orphans()
        earlier = fork(lambda: time.sleep(20))
        result = limits.supervise(fork(lambda: fork(lambda: time.sleep(20)) and 0), seconds=10, memory_mb=1000)
        spared = [process.pid for process in limits.descendants(os.getpid())] == [earlier]
        assert limits.tree_memory(os.getpid()) > 2**20
        ended = limits.end_tree(os.getpid(), keep_root=True)
        return len(result.leftover), spared, len(ended), limits.descendants(os.getpid())

    assert in_child(supervisor) == (1, True, 1, [])


def test_end_tree_with_its_root():
    def supervisor():
        limits.adopt_orphans()
        source, sink = os.pipe()
        pid = fork(lambda: (fork(lambda: time.sleep(20)), os.write(sink, b"x"), time.sleep(20))[2])
        os.read(source, 1)
        return limits.end_tree(pid, keep_root=False), psutil.Process().children(recursive=True)

    ended, survivors = in_child(supervisor)
    assert len(ended) == 2 and all(description.endswith("(forked)") for description in ended)
    assert survivors == []


def test_without_the_kernels_list_of_children(monkeypatch):
    exists = os.path.exists
    monkeypatch.setattr(os.path, "exists", lambda path: "children" not in str(path) and exists(path))
    result = ending(lambda: fork(lambda: time.sleep(20)) and 0)
    assert (result.kind, len(result.leftover)) == ("exited", 1)
