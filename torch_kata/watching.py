"""Which answers were saved, as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

from watchfiles import watch

from torch_kata.catalog import Task


def saved(tasks: list[Task], folder: Path | None = None, stop: Event | None = None) -> Iterator[list[Task]]:
    """The tasks whose files changed since this call, each time some did, until `stop` is set. The files are those in
    exercises/, or under the same paths in `folder`. Editors that write beside and rename are seen too.
    """
    by_path = {(folder / task.path if folder else task.stub).resolve(): task for task in tasks}
    return _changed(by_path, {path: _content(path) for path in by_path}, stop)


def _changed(by_path: dict[Path, Task], contents: dict[Path, bytes | None], stop: Event | None) -> Iterator[list[Task]]:
    folders = {path.parent for path in by_path}
    # A short debounce: the learner waits for this answer. What the system does not tell of is seen within a second.
    options = {"debounce": 50, "step": 10, "rust_timeout": 1000, "yield_on_timeout": True, "raise_interrupt": True}
    for _ in watch(*folders, recursive=False, stop_event=stop, **options):
        changed = []
        for path, task in by_path.items():
            content = _content(path)
            if content is not None and content != contents[path]:
                contents[path] = content
                changed.append(task)
        if changed:
            yield changed


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
