"""How the operating system confines the process of one task: its files, its memory, its time and its children.

What a platform lacks is left out silently: Windows and macOS keep the limits on time, memory and processes that
psutil can enforce from outside. The confining functions are called in the task's process before it starts a thread
and before it runs any code of the learner; `adopt_orphans` and `supervise` in the process that forked it.
"""

from __future__ import annotations

import functools
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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil  # takes 20 ms to import, and Linux needs it only for `descendants`

LINUX = sys.platform == "linux"

MAX_PROCESSES = 64
"""How many processes a task may have besides its own."""

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
_WRITE = (
    (_WRITE_FILE | _TRUNCATE | _REFER | _REMOVE_DIR | _REMOVE_FILE)
    | (_MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM)
)
_HANDLED = _READ | _WRITE | _MAKE_CHAR | _MAKE_BLOCK
# The kernel refuses a rule that grants a right on directories to a plain file.
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

_DEVICES = ("null", "zero", "full", "tty", "ptmx")
# Nothing on a GPU works unless its device nodes can be opened for writing.
_GPU_DEVICES = ("nvidia*", "kfd", "dri")


def confine_files(writable: Iterable[Path], unreadable: Iterable[Path]) -> bool:
    """Let this process and its future children write only beneath `writable` and read nothing beneath `unreadable`.

    Returns False, with nothing changed, where the kernel has no Landlock. It binds the calling thread and what it
    starts from then on, so call it before there are threads. What the process has already opened stays open.

    Writable folders must exist (OSError otherwise) and can be read too, also within an unreadable folder. The parents
    of an unreadable folder cannot be listed, and what appears beside it or beside them later cannot be read: Landlock
    knows only grants, and those reach all the way down. Owner, mode, times and extended attributes of files are out
    of its sight; so is truncate(2) before Linux 6.2, where only opening for writing is refused.
    """
    handled = _landlock_rights()
    if not handled:
        return False
    hidden = {path.resolve() for path in unreadable}
    attributes = _buffer(struct.pack("=Q", handled))
    ruleset = _syscall(_CREATE_RULESET, attributes, 8, 0)
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


def _device_rights() -> Iterator[tuple[Path, int]]:
    devices = Path("/dev")
    use = _READ_FILE | _WRITE_FILE | _TRUNCATE
    for name in _DEVICES:
        yield devices / name, use
    for pattern in _GPU_DEVICES:
        for path in devices.glob(pattern):
            yield path, use | _READ_DIR
    yield devices / "pts", use | _READ_DIR
    # Tensors that travel between processes, and multiprocessing's semaphores, live here.
    yield devices / "shm", _READ | _WRITE


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
def _libc():  # noqa: ANN202 - its type cannot be named without importing ctypes
    import ctypes

    return ctypes.CDLL(None)


def _buffer(content: bytes):  # noqa: ANN202
    import ctypes

    return ctypes.create_string_buffer(content, len(content))


def _syscall(number: int, *arguments) -> int:  # noqa: ANN002
    """A system call by its number; each argument is an integer or what `_buffer` made."""
    return _libc().syscall(*_machine_words(number, *arguments))


def _prctl(option: int, value: int) -> int:
    return _libc().prctl(*_machine_words(option, value, 0, 0, 0))


def _machine_words(*arguments) -> list:  # noqa: ANN002
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

    A child forked from a warm server shares the server's 400 MB and a tree of forked workers shares its parent's, so
    the sum of what is resident counts such pages many times over. The exact figure divides each page by the processes
    that map it (PSS): a tree's own pages count once, and those it shares with the server count in part, so a caller
    has no baseline to subtract. But it walks the page tables, 6 ms for a process with torch. The quick figure, what
    is resident, takes 50 µs and is never too small: it is returned where it is at most `exact_above`.
    """
    return _memory([pid, *_living({pid})], exact_above)


def end_tree(pid: int, *, keep_root: bool) -> list[str]:
    """Kill every descendant of `pid`, and `pid` itself unless `keep_root`; describe each process that was ended.

    Descendants whose parent had ended before are found only beneath the process that adopted them: to end those
    too, pass the pid of that process with `keep_root`.
    """
    return _end({pid}, end_roots=not keep_root)


@functools.cache
def _kernel_lists_children() -> bool:
    return os.path.exists("/proc/thread-self/children")


def _children_lookup() -> Callable[[int], list[int]]:
    """A function that gives the children of a pid, zombies among them."""
    if _kernel_lists_children():
        return _children
    import psutil

    table: dict[int, list[int]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            table.setdefault(process.ppid(), []).append(process.pid)
    return lambda pid: table.get(pid, [])


def _children(pid: int) -> list[int]:
    # Ten times quicker than looking for parents in all of /proc. The list may miss a child while another one is
    # reaped, but only we reap our own children, orphans among them: a scan that starts at ourselves and finds none
    # is right.
    found = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
    return found


def _living(roots: Iterable[int], spared: Iterable[int] = ()) -> list[int]:
    """The living descendants of the roots, parents before children; nothing at or beneath a spared one.

    Zombies are reaped if they are ours.
    """
    children_of = _children_lookup()
    seen = {os.getpid(), *roots, *spared}
    queue = list(roots)
    living = []
    for pid in queue:
        for child in children_of(pid):
            if child not in seen:
                seen.add(child)
                queue.append(child)
                if _is_alive(child):
                    living.append(child)
    return living


def _is_alive(pid: int) -> bool:
    if not LINUX:
        import psutil

        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name in parentheses may hold anything, even a parenthesis.
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False
