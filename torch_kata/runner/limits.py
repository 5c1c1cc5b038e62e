"""How the operating system confines the process of one task: its files, its memory, its time and its children.

What a platform lacks is left out silently: Windows and macOS keep the limits on time, memory and processes that
psutil can enforce from outside. The confining functions are called in the task's process before it starts a thread
and before it runs any code of the learner; `adopt_orphans` and `supervise` in the process that forked it.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import re
import select
import signal
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil  # takes 20 ms to import, and on Linux only `descendants` needs it

LINUX = sys.platform == "linux"

MAX_PROCESSES = 64
"""How many processes a task may have besides its own."""

_HELPERS = ("resource_tracker", "multiprocessing.forkserver", "torch_shm_manager")
_HELPER_GRACE = 0.3
_END_WITHIN = 5.0

# --- Files ------------------------------------------------------------------------------------------------------

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = (1 << bit for bit in range(4))
_REMOVE_DIR, _REMOVE_FILE, _MAKE_CHAR, _MAKE_DIR, _MAKE_REG = (1 << bit for bit in range(4, 9))
_MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM, _REFER, _TRUNCATE = (1 << bit for bit in range(9, 15))

_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Device nodes are made nowhere, not even beneath a writable folder: root could open a raw disk through one.
_MAKE = _MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM
_WRITE = _WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE | _MAKE
_HANDLED = _READ | _WRITE | _MAKE_CHAR | _MAKE_BLOCK
# The kernel refuses a rule that grants a right on directories to a plain file.
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

_SCOPE_SIGNAL = 1 << 1

_DEVICES = {"null", "zero", "full", "tty", "ptmx", "pts"}
_GPU_DEVICES = ("nvidia", "kfd", "dri")


def confine_files(writable: Iterable[Path], unreadable: Iterable[Path]) -> bool:
    """Let this process and its future children write only beneath `writable` and read nothing beneath `unreadable`,
    and signal nobody else, where the kernel can see to that (Linux 6.12).

    Returns False, with nothing changed, where the kernel has no Landlock. It binds the calling thread and what it
    starts from then on, so call it before there are threads. What the process has already opened stays open.

    Writable folders must exist (OSError otherwise) and can be read too, also within an unreadable folder. The parents
    of an unreadable folder cannot be listed, and what appears later in one of them cannot be read, be that parent
    writable or not: Landlock knows only grants, and those reach all the way down. Owner, mode, times and extended
    attributes of files are out of its sight; so is truncate(2) before Linux 6.2, where only opening for writing is
    refused.
    """
    handled = _landlock_rights()
    if not handled:
        return False
    hidden = {path.resolve() for path in unreadable}
    # From version 6 on the process can also be kept from signalling others: its supervisor, the user's programs.
    content = struct.pack("=QQQ", handled, 0, _SCOPE_SIGNAL) if _landlock_version() >= 6 else struct.pack("=Q", handled)
    ruleset = _syscall(_CREATE_RULESET, _buffer(content), len(content), 0)
    if ruleset < 0:
        return False
    try:
        for path in _readable_roots(hidden):
            with suppress(OSError):  # vanished meanwhile, or of a kind that takes no rule: then it is not readable
                _grant(ruleset, path, _READ & handled, os.O_NOFOLLOW)
        for folder in {path.resolve() for path in writable}:
            # A grant to read would reach the hidden folder inside; the grants around it are made above.
            holds_hidden = any(path.is_relative_to(folder) for path in hidden)
            _grant(ruleset, folder, (_WRITE if holds_hidden else _WRITE | _READ) & handled)
        for path, rights in _device_rights():
            with suppress(OSError):
                _grant(ruleset, path, rights & handled)
        # Without this promise only root may confine itself.
        return _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0 and _syscall(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _landlock_rights() -> int:
    """The rights this kernel can handle of those we restrict; 0 where there is no Landlock."""
    version = _landlock_version()
    if version < 1:
        return 0
    handled = _HANDLED
    if version < 3:
        handled &= ~_TRUNCATE
    if version < 2:  # such a kernel refuses every rename and link from one folder to another
        handled &= ~_REFER
    return handled


def _landlock_version() -> int:
    return _syscall(_CREATE_RULESET, 0, 0, 1) if LINUX else 0


def _readable_roots(hidden: set[Path]) -> Iterator[str | Path]:
    """The topmost paths that together hold everything except what lies beneath the hidden ones."""
    if not hidden:
        yield "/"
    outermost = {path for path in hidden if hidden.isdisjoint(path.parents)}
    passages = {parent for path in outermost for parent in path.parents}
    not_granted = {str(path) for path in outermost | passages}
    for folder in passages:
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                # Following a link here could grant what it hides; its target has a grant of its own, or none.
                if entry.path not in not_granted and not entry.is_symlink():
                    yield entry.path


def _device_rights() -> Iterator[tuple[str, int]]:
    for name in os.listdir("/dev"):
        # Nothing on a GPU works unless its device nodes can be opened for writing.
        if name in _DEVICES or name.startswith(_GPU_DEVICES):
            yield f"/dev/{name}", _READ_FILE | _READ_DIR | _WRITE_FILE | _TRUNCATE
    # Tensors that travel between processes, and multiprocessing's semaphores, live here.
    yield "/dev/shm", _READ | _WRITE


def _grant(ruleset: int, path: str | Path, rights: int, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_PATH | flags)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _FILE_RIGHTS
        rule = _buffer(struct.pack("=Qi", rights, descriptor))
        if _syscall(_ADD_RULE, ruleset, 1, rule, 0) < 0:
            raise OSError(f"no Landlock rule can be added for {path}")
    finally:
        os.close(descriptor)


@functools.cache
def _libc():
    import ctypes

    return ctypes.CDLL(None)


def _buffer(content: bytes):
    import ctypes

    return ctypes.create_string_buffer(content, len(content))


def _syscall(number: int, *arguments) -> int:
    """A system call by its number; each argument is an integer or what `_buffer` made."""
    return _libc().syscall(*_machine_words(number, *arguments))


def _prctl(option: int, value: int) -> int:
    return _libc().prctl(*_machine_words(option, value, 0, 0, 0))


def _machine_words(*arguments) -> list:
    # A plain int would be passed as 32 bits, which leaves the upper half of a variadic argument undefined.
    import ctypes

    return [ctypes.c_long(argument) if isinstance(argument, int) else argument for argument in arguments]


# --- Memory, parents and children of one process ----------------------------------------------------------------


def limit_memory(megabytes: int) -> None:
    """Let this process map at most `megabytes` more than it has mapped now, and write no core file.

    What is mapped now counts because a child forked from a process with torch starts with gigabytes of mappings.
    Address space is not memory: each thread takes some 72 MB of it, and CUDA takes terabytes, so do not use this
    where CUDA is used. Children inherit the sum as it is.
    """
    try:
        import resource
    except ImportError:  # Windows
        return
    _lower_limit(resource.RLIMIT_CORE, 0)
    if LINUX:  # macOS maps hundreds of gigabytes into every process, and ignores the limit
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
        _lower_limit(resource.RLIMIT_AS, pages * resource.getpagesize() + megabytes * 2**20)


def limit_file_size(megabytes: int) -> None:
    """Let this process and its future children write no file larger than that: an endless print fills the disk."""
    try:
        import resource
    except ImportError:  # Windows
        return
    _lower_limit(resource.RLIMIT_FSIZE, megabytes * 2**20)


def _lower_limit(kind: int, value: int) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (value, value))


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that none can leave the tree."""
    if LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int | None = None) -> None:
    """Have this process killed when the thread that forked it ends, however that comes about.

    `parent`, the pid known before the fork, closes the gap in which the parent ended before this call.
    """
    if LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


# --- A tree of processes ----------------------------------------------------------------------------------------


def descendants(pid: int) -> list[psutil.Process]:
    """The living processes beneath `pid`; zombies don't count."""
    import psutil

    found = []
    for descendant in _living({pid}):
        with suppress(psutil.Error):
            found.append(psutil.Process(descendant))
    return found


def tree_memory(pid: int, exact_above: int = 0) -> int:
    """Bytes of memory that `pid` and its descendants hold, files mapped from the disk left out.

    A child forked from a warm server shares the server's 400 MB, and forked workers share all of their parent's, so
    a sum of what is resident counts such pages many times over. The exact figure divides each page by the processes
    that map it (PSS): what the tree shares within itself counts once, what it shares with the server counts in part
    and never more than once, so a caller has no baseline to subtract. But it walks the page tables: 6 ms for a
    process with torch. The quick figure, what is resident, takes 50 µs and is never too small: it is returned where
    it is at most `exact_above`. A file in /dev/shm counts once a process maps it.
    """
    return _memory([pid, *_living({pid})], exact_above)


def end_tree(pid: int, *, keep_root: bool, spared: Iterable[int] = ()) -> list[str]:
    """Kill every descendant of `pid`, and `pid` itself unless `keep_root`; describe each process that was ended.
    What is `spared` is left alone, with all that lies beneath it.

    Descendants whose parent had ended before are found only beneath the process that adopted them: to end those
    too, pass the pid of that process, with `keep_root`.
    """
    return list(_end({pid}, end_roots=not keep_root, spared=spared).values())


def _memory(pids: Iterable[int], exact_above: int) -> int:
    pids = list(pids)
    quick = sum(map(_resident, pids))
    return sum(map(_proportional, pids)) if LINUX and quick > exact_above else quick


def _resident(pid: int) -> int:
    if not LINUX:
        import psutil

        with suppress(psutil.Error):
            return psutil.Process(pid).memory_info().rss
        return 0
    sizes = _sizes(f"/proc/{pid}/status")
    # gVisor gives the sum only.
    anonymous = sizes.get("RssAnon", sizes.get("VmRSS", 0))
    return anonymous + sizes.get("RssShmem", 0) + sizes.get("VmSwap", 0)


def _proportional(pid: int) -> int:
    sizes = _sizes(f"/proc/{pid}/smaps_rollup")
    if "Pss_Anon" not in sizes:  # an old kernel, a process we may not look into, or one that has just ended
        return _resident(pid)
    return sizes["Pss_Anon"] + sizes.get("Pss_Shmem", 0) + sizes.get("SwapPss", 0)


def _sizes(path: str) -> dict[str, int]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = re.findall(r"^(\w+):\s+(\d+) kB$", file.read(), re.MULTILINE)
    except OSError:
        return {}
    return {name: int(kilobytes) * 1024 for name, kilobytes in lines}


def _living(roots: Iterable[int], spared: Iterable[int] = ()) -> list[int]:
    return [pid for pid in _walk(roots, spared) if _is_alive(pid)]


def _walk(roots: Iterable[int], spared: Iterable[int] = ()) -> Iterator[int]:
    """Everything beneath the roots, zombies too, except what is spared and what lies beneath that.

    A process is given before its children are looked up: whoever stops it at once has all of them.
    """
    children_of = _children_lookup()
    queue = list(roots)
    seen = {os.getpid(), *queue, *spared}
    for pid in queue:
        for child in children_of(pid):
            if child not in seen:
                seen.add(child)
                yield child
                queue.append(child)


def _children_lookup() -> Callable[[int], list[int]]:
    """A function that gives the children of a pid, zombies among them."""
    if os.path.exists("/proc/thread-self/children"):
        return _children
    import psutil

    table: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            table.setdefault(process.ppid(), []).append(process.pid)
    return lambda pid: table.get(pid, [])


def _children(pid: int) -> list[int]:
    # Far quicker than reading every process's parent. The kernel may leave a child out while another one is being
    # reaped, but our own children, adopted ones among them, are reaped by nobody else: that we have none is certain.
    found = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    return found


def _is_alive(pid: int) -> bool:
    if not LINUX:
        import psutil

        with suppress(psutil.Error):
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything, a parenthesis too.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    state, threads = fields[0], int(fields[17])
    # Where only the main thread has ended the process looks like a zombie, but goes on.
    return state not in (b"Z", b"X") or threads > 1


def _end(
    roots: Iterable[int],
    *,
    end_roots: bool,
    spared: Iterable[int] = (),
    passing_over: Callable[[int], bool] = lambda pid: False,
    group: int | None = None,
) -> dict[int, str]:
    """End what is beneath the roots, and reap what is ours; a description for each pid that was ended.

    `group` is a process group in which there is nothing else.
    """
    deadline = time.monotonic() + _END_WITHIN
    doomed = set(roots) if end_roots else set()
    passed_over: set[int] = set()
    stopped: set[int] = set()
    ended: dict[int, str] = {}
    while True:
        # Those that are gone must not stay: their pids may be given to strangers.
        stopped = set(filter(_is_alive, stopped))
        if group is not None and next(_walk(roots, spared), None) is not None:
            # One call reaches all who did not leave the group: stopped one by one, a fork bomb would grow faster.
            _stop(-group)
        fresh, dead = [], []
        for pid in itertools.chain(doomed, _walk({*roots, *stopped}, spared)):
            if not _is_alive(pid):
                dead.append(pid)
            elif pid in passed_over or (pid not in ended and passing_over(pid)):
                passed_over.add(pid)
                _resume(pid)
            elif pid not in ended:
                _stop(pid)
                fresh.append(pid)
        ended.update((pid, _describe(pid)) for pid in fresh)
        stopped.update(fresh)
        late = time.monotonic() > deadline
        if fresh and not late:
            # As long as there are new ones something still forks; once all are stopped, none can outrun the kill.
            continue
        for pid in stopped:
            _kill(pid)
        reaped = _reap({*dead, *ended})
        if late or not (stopped or reaped):
            return {pid: description for pid, description in ended.items() if description}
        time.sleep(0.0005)


def _stop(pid: int) -> None:
    if hasattr(signal, "SIGSTOP"):
        with suppress(OSError):
            os.kill(pid, signal.SIGSTOP)


def _resume(pid: int) -> None:
    if hasattr(signal, "SIGCONT"):
        with suppress(OSError):
            os.kill(pid, signal.SIGCONT)


def _kill(pid: int) -> None:
    with suppress(OSError):
        # On Windows every signal ends a process at once, and this one exists.
        os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))


def _reap(pids: Iterable[int]) -> bool:
    """Reap those that are our children and have ended; whether there was one."""
    reaped = False
    for pid in pids:
        with suppress(OSError):
            reaped |= hasattr(os, "WNOHANG") and os.waitpid(pid, os.WNOHANG)[0] == pid
    return reaped


def _describe(pid: int) -> str:
    command = _command(pid)
    if not command:  # it was ending by itself: its memory is gone already
        return ""
    name = os.path.basename(command[0]) or "?"
    # A fork still carries our own command, which would only mislead.
    words = [name, "(forked)"] if command == _command(os.getpid()) else [name, *command[1:]]
    return " ".join(words)[:200]


def _command(pid: int) -> list[str]:
    if not LINUX:
        import psutil

        with suppress(psutil.Error):
            return psutil.Process(pid).cmdline()
        return []
    with suppress(OSError), open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
        content = file.read()
        return content.rstrip("\0").split("\0") if content else []
    return []


# --- Supervising ------------------------------------------------------------------------------------------------


@dataclass
class Ending:
    """How a supervised process ended."""

    kind: str
    """exited, signal, timeout, memory, or processes: over that limit."""
    code: int | None
    """The exit status or the number of the signal; None where a limit ended it."""
    seconds: float
    leftover: list[str]
    """The processes besides its own that were still there at its end, and were ended."""


def supervise(pid: int, *, seconds: float, memory_mb: int, poll: float = 0.02) -> Ending:
    """Wait for the child `pid` within its limits, then end whatever is left of its tree.

    The caller has called `adopt_orphans` and forked `pid`. Children it had before that are left alone, but what becomes
    its child later is taken for an orphan of the task: a process supervises one task at a time, and starts nothing
    else in another thread.
    """
    started = time.monotonic()
    # The kernel lists children in the order in which they came: an orphan of the task cannot be among the earlier ones.
    spared = set(itertools.takewhile(lambda child: child != pid, _children_lookup()(os.getpid())))
    group = _group_of_its_own(pid)
    try:
        kind, code = _watch(pid, spared, started + seconds, memory_mb * 2**20, poll)
        took = time.monotonic() - started
    except BaseException:  # Ctrl-C above all
        _end_rest(pid, spared, group)
        raise
    return Ending(kind, code, took, _end_rest(pid, spared, group))


def _group_of_its_own(pid: int) -> int | None:
    """Make a child the leader of a process group, so that what it signals as its group does not include us."""
    with suppress(AttributeError, OSError):
        os.setpgid(pid, pid)
    with suppress(AttributeError, OSError):
        return pid if os.getpgid(pid) == pid else None
    return None


def _watch(pid: int, spared: set[int], deadline: float, memory: int, poll: float) -> tuple[str, int | None]:
    pause = poll
    with _exit_code_of(pid) as wait:
        while True:
            code = wait(max(0.0, min(pause, deadline - time.monotonic())))
            if code is not None:
                return ("exited", code) if code >= 0 else ("signal", -code)
            looked = time.monotonic()
            if looked >= deadline:
                return "timeout", None
            living = []
            for process in _walk({os.getpid()}, spared):
                if _is_alive(process):
                    living.append(process)
                elif process != pid:
                    _reap([process])
                if len(living) > MAX_PROCESSES + 1:
                    return "processes", None
            if _memory(living, memory) > memory:
                return "memory", None
            # An exact look at many large processes is dear: never take more than a fifth of a core for it.
            pause = max(poll, min(4 * (time.monotonic() - looked), 0.25))


@contextmanager
def _exit_code_of(pid: int) -> Iterator[Callable[[float], int | None]]:
    """A function that waits so many seconds for the end of a child: its exit code, -signal, or None."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, an old kernel, or a container's filter
        yield functools.partial(_wait_by_asking if hasattr(os, "WNOHANG") else _wait_with_psutil, pid)
        return
    try:
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)

        def wait(seconds: float) -> int | None:
            poller.poll(math.ceil(seconds * 1000))
            return _exit_code(pid)

        yield wait
    finally:
        os.close(descriptor)


def _wait_by_asking(pid: int, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while (code := _exit_code(pid)) is None and time.monotonic() < deadline:
        time.sleep(0.001)
    return code


def _wait_with_psutil(pid: int, seconds: float) -> int | None:
    import psutil

    with suppress(psutil.TimeoutExpired):
        return psutil.Process(pid).wait(seconds)
    return None


def _exit_code(pid: int) -> int | None:
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def _end_rest(pid: int, spared: set[int], group: int | None) -> list[str]:
    """End what is left of a task's tree; describe it, without the task itself and multiprocessing's own tracker."""
    roots = {os.getpid()}
    ended = _end(roots, end_roots=False, spared=spared, passing_over=_is_helper, group=group)
    # Helpers end by themselves once the processes they serve have, and remove shared memory before they do.
    deadline = time.monotonic() + _HELPER_GRACE
    while _living(roots, spared) and time.monotonic() < deadline:
        time.sleep(0.002)
    ended |= _end(roots, end_roots=False, spared=spared, group=group)
    ended.pop(pid, None)
    return [description for description in ended.values() if "resource_tracker" not in description]


def _is_helper(pid: int) -> bool:
    command = _command(pid)
    # A fork carries our own command, whatever that says.
    return command != _command(os.getpid()) and any(name in word for word in command for name in _HELPERS)
