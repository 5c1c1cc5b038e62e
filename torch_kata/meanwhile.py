"""What happens while an interview's time runs: lines typed, files saved, verdicts; each from a thread of its own."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch_kata import grading, watching
from torch_kata.catalog import Task
from torch_kata.runner.pool import Pool
from torch_kata.seeds import fresh_seed

TYPED, SAVED, GRADED, BROKEN = "typed", "saved", "graded", "broken"


class Meanwhile:
    """One event after the other: (TYPED, line), with None for the line when there are no more; (SAVED, task number);
    (GRADED, verdict).

    The answers lie in `folder`. What a thread could not do is raised where its event would be taken.
    """

    def __init__(self, folder: Path, pool: Pool) -> None:
        self.folder, self.pool = folder, pool
        self._events: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()

    def next(self, seconds: float) -> tuple[str, object]:
        """The next event, waited for so long at most. Raises queue.Empty if none comes."""
        kind, value = self._events.get(timeout=seconds)
        if kind == BROKEN:
            raise value
        return kind, value

    def listen(self) -> None:
        """Makes an event of each line typed from now on."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        # Straight from the system: a thread that waits in sys.stdin holds a lock the interpreter needs when it ends.
        rest = b""
        while block := _typed():
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                self._events.put((TYPED, line.decode("utf-8", "replace")))
        self._events.put((TYPED, None))

    def grade(self, task: Task) -> None:
        """Has the task graded, without the diagnosis: in an interview nobody says what went wrong."""
        settings = grading.Settings(self.folder, fresh_seed(), diagnose=False)

        def run() -> None:
            try:
                [verdict] = grading.grade([task], settings, self.pool, jobs=1)
                self._events.put((GRADED, verdict))
            except BaseException as error:
                self._events.put((BROKEN, error))

        threading.Thread(target=run, daemon=True).start()

    @contextmanager
    def watching(self, task: Task) -> Iterator[None]:
        """Makes an event of each save of the task's file."""
        stop = threading.Event()
        changes = watching.saved([task], self.folder, stop)

        def look() -> None:
            try:
                for _ in changes:
                    self._events.put((SAVED, task.id))
            except (OSError, RuntimeError) as error:  # such as a folder that is gone: Enter still grades
                print(f"kata: 看不到存檔（{error}）；寫好後按 Enter 評分", file=sys.stderr)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _typed() -> bytes:
    try:
        return os.read(sys.stdin.fileno(), 4096)
    except (OSError, ValueError, AttributeError):  # the terminal is gone, or there never was one
        return b""
