"""The learner's own files: what state each answer is in, and how a stub is put back without losing anything."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from torch_kata.catalog import ROOT, Catalog, Task
from torch_kata.errors import UsageError
from torch_kata.originals import original
from torch_kata.progress import Progress, Summary


def home(root: Path = ROOT) -> Path:
    """Where attempts and backups are kept: KATA_HOME, or .kata/ in the checkout."""
    return Path(os.environ.get("KATA_HOME") or root / ".kata").expanduser()


def progress(root: Path = ROOT) -> Progress:
    return Progress(home(root))


def is_untouched(task: Task) -> bool:
    """Whether the learner's file is still the stub."""
    try:
        return task.stub.read_text(encoding="utf-8") == original(task)
    except (OSError, UnicodeDecodeError):
        return False


def states(catalog: Catalog, summaries: Mapping[int, Summary]) -> dict[int, str]:
    """todo, failed or passed for every task: by its latest attempt, unless the file is the stub again."""
    return {
        task.id: "todo" if task.id not in summaries or is_untouched(task) else summaries[task.id].state
        for task in catalog.tasks
    }


def reset(task: Task) -> Path | None:
    """Puts the stub back; the answer that stood there is kept, and its copy returned. None if there was nothing to do.

    Raises UsageError, with the answer untouched, when it cannot be kept.
    """
    if is_untouched(task):
        return None
    backup = None
    try:
        if task.stub.exists():
            folder = home(task.root) / "backups" / task.stem
            folder.mkdir(parents=True, exist_ok=True)
            backup = _unused(folder)
            write(backup, task.stub.read_bytes())
        task.stub.parent.mkdir(parents=True, exist_ok=True)
        write(task.stub, original(task).encode("utf-8"))
    except OSError as error:
        raise UsageError(f"沒有重設 {task.stem}：無法寫入 {error.filename or task.stub}（{error.strerror}）") from error
    return backup


def _unused(folder: Path) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    names = [f"{stamp}.py", *(f"{stamp}-{number}.py" for number in range(2, 1000))]
    return next(path for name in names if not (path := folder / name).exists())


def write(path: Path, content: bytes) -> None:
    """All of it or nothing: written beside the path and moved over it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
