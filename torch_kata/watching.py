"""Which answers were saved, as it happens."""

from __future__ import annotations

from collections.abc import Iterator

from watchfiles import watch

from torch_kata.catalog import Task


def saved(tasks: list[Task]) -> Iterator[list[Task]]:
    """The tasks whose files changed, each time some did. Editors that write beside and rename are seen too."""
    by_path = {task.stub.resolve(): task for task in tasks}
    contents = {path: _content(path) for path in by_path}
    folders = {path.parent for path in by_path}
    # A short debounce: the learner waits for this answer.
    for _ in watch(*folders, debounce=50, step=10, rust_timeout=1000, recursive=False, raise_interrupt=True):
        changed = []
        for path, task in by_path.items():
            content = _content(path)
            if content is not None and content != contents[path]:
                contents[path] = content
                changed.append(task)
        if changed:
            yield changed


def _content(path) -> bytes | None:  # noqa: ANN001 - Path
    try:
        return path.read_bytes()
    except OSError:
        return None
