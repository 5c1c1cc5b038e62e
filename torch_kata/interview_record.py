"""How mock interviews are kept: one open at a time, conducted by one process, with a folder of fresh stubs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from sqlite3 import Connection

from torch_kata import workspace
from torch_kata.catalog import Catalog, Task
from torch_kata.errors import UsageError
from torch_kata.interview import Interview, Part
from torch_kata.originals import original
from torch_kata.progress import Progress
from torch_kata.store import Damaged, now

SAME_PROCESS = 2.0  # seconds between two readings of when a process began
OPEN = "SELECT id, started, state FROM interviews WHERE ended IS NULL ORDER BY id DESC LIMIT 1"


def folder(progress: Progress, interview: Interview) -> Path:
    """Where its answers lie, under the same paths as in exercises/."""
    return progress.folder / "interviews" / str(interview.number)


def tasks(interview: Interview, catalog: Catalog) -> list[Task]:
    """Its tasks, in its order. Raises UsageError for one that is there no more."""
    known = {task.id: task for task in catalog.tasks}
    lost = [part.task for part in interview.parts if part.task not in known]
    if lost:
        raise UsageError(f"這場模擬面試的第 {lost[0]} 題已經不在題庫裡；放棄這一場：kata interview --abandon")
    return [known[part.task] for part in interview.parts]


def begin(progress: Progress, interview: Interview, catalog: Catalog) -> None:
    """Gives it a number and a folder of its own with fresh stubs, and keeps it; unless another one is open."""
    with progress.writing() as connection:
        if other := _open(connection, progress):
            raise UsageError(_in_the_way(other))
        (latest,) = connection.execute("SELECT coalesce(max(id), 0) FROM interviews").fetchone()
        home = progress.folder / "interviews"  # its folders outlive a record that was kept aside
        numbers = [int(path.name) for path in home.glob("[0-9]*") if path.name.isdecimal()]
        interview.number, interview.started, interview.owner = 1 + max([latest, *numbers]), now(), _me()
        folder(progress, interview).mkdir(parents=True)
        provide(progress, interview, catalog)
        values = interview.number, interview.started, None, _dump(interview)
        connection.execute("INSERT INTO interviews VALUES (?, ?, ?, ?)", values)


def provide(progress: Progress, interview: Interview, catalog: Catalog) -> None:
    """Puts a fresh stub where there is none. What the learner wrote stays."""
    for task in tasks(interview, catalog):
        path = folder(progress, interview) / task.path
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            workspace.write(path, original(task).encode("utf-8"))


def resume(progress: Progress, catalog: Catalog) -> Interview:
    """The open interview, taken over by this process. Raises UsageError if there is none, or another has it."""
    return _take(progress, lambda interview: provide(progress, interview, catalog))


def abandon(progress: Progress) -> Interview:
    """Ends the open interview without a score."""
    return _take(progress, lambda interview: interview.result.update(summary="中途放棄"))


def _take(progress: Progress, change: Callable[[Interview], None]) -> Interview:
    if opened(progress) is None:  # asked first without writing: no record is made just to say so
        raise UsageError("沒有進行中的模擬面試；開始一場：kata interview")
    with progress.writing() as connection:
        interview = _open(connection, progress)
        if interview and _lives(interview.owner):
            raise UsageError(_in_the_way(interview))
        if interview is None:
            raise UsageError("這場模擬面試剛剛結束了；開始一場：kata interview")
        interview.owner = _me()
        change(interview)
        _update(connection, interview)
    return interview


def save(progress: Progress, interview: Interview) -> None:
    """Keeps it as it is now, in one transaction; it has ended if it has a result."""
    with progress.writing() as connection:
        _update(connection, interview)


def opened(progress: Progress) -> Interview | None:
    """The interview that has not ended, if there is one."""
    rows = progress.rows(OPEN, since=2)
    return _load(progress, *rows[0]) if rows else None


def keep_shut(progress: Progress, task_id: int) -> None:
    """Raises UsageError for a task of an open interview: its hints and its solution are not to be had."""
    interview = opened(progress)
    if interview and any(part.task == task_id for part in interview.parts):
        raise UsageError(
            f"第 {task_id} 題在進行中的模擬面試裡，結束之前不給提示與解答；"
            "繼續面試：kata interview --resume，放棄：kata interview --abandon"
        )


def _in_the_way(interview: Interview) -> str:
    if _lives(interview.owner):
        return f"模擬面試 {interview.number} 正在另一個終端機進行（行程 {interview.owner[0]}）；先在那裡用 q 停下來"
    return (
        f"模擬面試 {interview.number} 還沒結束（剩 {max(0, interview.left) / 60:.0f} 分鐘）；"
        "繼續：kata interview --resume，放棄：kata interview --abandon"
    )


def _open(connection: Connection, progress: Progress) -> Interview | None:
    row = connection.execute(OPEN).fetchone()
    return _load(progress, *row) if row else None


def _update(connection: Connection, interview: Interview) -> None:
    ended = now() if interview.result else None
    values = ended, _dump(interview), interview.number
    connection.execute("UPDATE interviews SET ended = ?, state = ? WHERE id = ?", values)


def _dump(interview: Interview) -> str:
    return json.dumps(asdict(interview), ensure_ascii=False)


def _load(progress: Progress, number: int, started: str, state: str) -> Interview:
    try:
        values = json.loads(state)
        values["parts"] = [Part(**part) for part in values["parts"]]
        values["owner"] = tuple(values["owner"]) if values["owner"] else None
        return Interview(**{**values, "number": number, "started": started})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(progress.path, str(error)) from error


def _me() -> tuple[int, float]:
    return os.getpid(), _born(os.getpid())


def _born(pid: int) -> float:
    """When a process began, in seconds since the computer did: the time of day may be set meanwhile."""
    import psutil

    return psutil.Process(pid).create_time() - psutil.boot_time()


def _lives(owner: tuple[int, float] | None) -> bool:
    """Whether the process that conducts an interview still runs; its number may be another's by now."""
    import psutil

    if owner is None:
        return False
    pid, born = owner
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE and abs(_born(pid) - born) < SAME_PROCESS
    except psutil.Error:
        return False
