"""The learner's attempts, hints shown and events, in SQLite under `.kata/`: safe against two writers and a crash."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch_kata.errors import UsageError

if TYPE_CHECKING:
    from torch_kata.verdict import Verdict

SCHEMA = 1
EVENTS = ("show", "solution", "reveal", "reset", "watch")
NOT_AN_ATTEMPT = ("todo", "not_run")
BUSY_SECONDS = 30.0
OS_REASONS = {
    errno.EEXIST: "有同名的檔案擋著",
    errno.ENOTDIR: "有同名的檔案擋著",
    errno.EACCES: "沒有權限",
    errno.EPERM: "沒有權限",
    errno.EROFS: "唯讀",
    errno.ENOSPC: "磁碟已滿",
}
SQLITE_REASONS = {
    sqlite3.SQLITE_READONLY: "唯讀",
    sqlite3.SQLITE_CANTOPEN: "檔案打不開",
    sqlite3.SQLITE_IOERR: "讀寫失敗",
    sqlite3.SQLITE_FULL: "磁碟已滿",
}

# The columns that may be long come last, so that a query without them reads no overflow page. Text from the learner is
# a BLOB, since TEXT refuses lone surrogates; the seed is TEXT, since torch's reach 2**64 - 1.
TABLES = (
    """CREATE TABLE attempts (
        id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, time TEXT NOT NULL, status TEXT NOT NULL,
        seconds REAL NOT NULL, seed TEXT NOT NULL, device TEXT NOT NULL, ratio REAL,
        passed INTEGER NOT NULL, total INTEGER NOT NULL, message BLOB NOT NULL, checks BLOB NOT NULL, source BLOB)""",
    "CREATE INDEX attempts_by_task ON attempts (task_id, status, seconds, ratio)",
    "CREATE TABLE hints (task_id INTEGER PRIMARY KEY, shown INTEGER NOT NULL)",
    "CREATE TABLE events (id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, time TEXT NOT NULL, kind TEXT NOT NULL)",
    f"PRAGMA user_version = {SCHEMA}",
)
SUMMARIES = """
    SELECT task_id, status, time, attempts, ever_passed, best_ratio, best_seconds
    FROM attempts JOIN (
        SELECT max(id) AS id, count(*) AS attempts, max(status = 'passed') AS ever_passed,
               min(CASE status WHEN 'passed' THEN ratio END) AS best_ratio,
               min(CASE status WHEN 'passed' THEN seconds END) AS best_seconds
        FROM attempts GROUP BY task_id
    ) USING (id) ORDER BY task_id"""


@dataclass(frozen=True)
class Summary:
    """A task's attempts in one line. `state` is passed or failed, by the latest; the best are of those that passed."""

    state: str
    attempts: int
    ever_passed: bool
    best_ratio: float | None
    best_seconds: float | None
    last_time: str


@dataclass(frozen=True)
class Attempt:
    """One recorded verdict. `time` is UTC in ISO 8601; `ratio` the largest of its checks; `source` what was graded."""

    task_id: int
    time: str
    status: str
    seconds: float
    seed: int
    device: str
    ratio: float | None
    passed: int
    total: int
    message: str
    checks: list[dict[str, Any]]
    source: str | None


class Progress:
    """The record kept in `folder`, which the first write creates. What goes wrong with the file is a UsageError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "progress.db"
        self._verified = False

    def record(self, verdict: Verdict, *, source: str | None = None) -> None:
        """Stores an attempt. An untouched stub and a task that cannot run here are none."""
        if verdict.status in NOT_AN_ATTEMPT:
            return
        ratios = [check.ratio for check in verdict.checks if check.ratio is not None]
        keys = ("name", "category", "outcome", "message", "diagnosis", "ratio", "seconds")
        checks = [{key: getattr(check, key) for key in keys} for check in verdict.checks]
        row = (
            verdict.id,
            _now(),
            verdict.status,
            verdict.seconds,
            str(verdict.seed),
            verdict.device,
            max(ratios, default=None),
            verdict.counted("passed"),
            len(checks),
            _encode(verdict.message),
            _encode(json.dumps(checks, ensure_ascii=False)),
            None if source is None else _encode(source),
        )
        with self._writing() as connection:
            connection.execute(f"INSERT INTO attempts VALUES (NULL{', ?' * len(row)})", row)

    def summaries(self) -> dict[int, Summary]:
        """By task number, for the tasks that have been attempted."""
        return {
            task_id: Summary("passed" if status == "passed" else "failed", count, bool(ever), ratio, seconds, time)
            for task_id, status, time, count, ever, ratio, seconds in self._rows(SUMMARIES)
        }

    def has_passed(self, task_id: int) -> bool:
        """Whether any attempt passed, whatever came after it."""
        return bool(self._rows("SELECT 1 FROM attempts WHERE task_id = ? AND status = 'passed' LIMIT 1", task_id))

    def attempts(self, task_id: int | None = None) -> list[Attempt]:
        """All attempts, or those at one task, oldest first."""
        # By id, not by time: a clock may be set back.
        rows = self._rows("SELECT * FROM attempts WHERE ?1 IS NULL OR task_id = ?1 ORDER BY id", task_id)
        try:
            return [_attempt(row) for row in rows]
        except (ValueError, TypeError, AttributeError) as error:
            raise self._damaged(str(error)) from error

    def hints_shown(self, task_id: int) -> int:
        rows = self._rows("SELECT shown FROM hints WHERE task_id = ?", task_id)
        return rows[0][0] if rows else 0

    def show_next_hint(self, task_id: int, available: int) -> int:
        """Counts one more hint as shown, of `available` at most; returns how many are shown now."""
        if available <= 0:
            return 0
        with self._writing() as connection:
            connection.execute("INSERT OR IGNORE INTO hints VALUES (?, 0)", (task_id,))
            connection.execute(
                "UPDATE hints SET shown = shown + 1 WHERE task_id = ? AND shown < ?", (task_id, available)
            )
            (shown,) = connection.execute("SELECT shown FROM hints WHERE task_id = ?", (task_id,)).fetchone()
        return min(shown, available)

    def record_event(self, task_id: int, kind: str) -> None:
        """Stores that something of EVENTS happened now."""
        if kind not in EVENTS:
            raise ValueError(f"unknown event: {kind}")
        with self._writing() as connection:
            connection.execute("INSERT INTO events VALUES (NULL, ?, ?, ?)", (task_id, _now(), kind))

    def events(self, task_id: int) -> list[tuple[str, str]]:
        """The (time, kind) of a task's events, oldest first."""
        return self._rows("SELECT time, kind FROM events WHERE task_id = ? ORDER BY id", task_id)

    def _rows(self, sql: str, *parameters: object) -> list[tuple]:
        with self._explained():
            if not self.path.exists():
                return []
            with self._transaction("BEGIN") as connection:
                return connection.execute(sql, parameters).fetchall() if self._has_tables(connection) else []

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._transaction("BEGIN IMMEDIATE") as connection:
                if not self._has_tables(connection):
                    for statement in TABLES:
                        connection.execute(statement)
                self._verify(connection)
                yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        # SQLite's rollback journal, not WAL: it needs no second file to read from read-only media, and a connection
        # that lives for one statement would gain nothing. Closing without COMMIT rolls back.
        with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute(begin)
            yield connection
            connection.execute("COMMIT")

    def _has_tables(self, connection: sqlite3.Connection) -> bool:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA:
            return True
        if version > SCHEMA:
            raise UsageError(
                f"進度檔 {self.path} 是較新版的 torch-kata 寫的（格式 {version}，這一版只讀得懂 {SCHEMA}）；"
                "請更新 torch-kata，檔案原封未動"
            )
        if version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise self._damaged("不是 torch-kata 寫的資料庫")
        return False

    def _verify(self, connection: sqlite3.Connection) -> None:
        """Refuses to add to a file damaged where this write would not look; once, since it reads the whole file."""
        if not self._verified:
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if result != "ok":
                raise self._damaged(result)
            self._verified = True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._unusable(OS_REASONS.get(error.errno, str(error.strerror))) from error
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise UsageError(
                    f"進度檔 {self.path} 一直被另一個程式占用（等了 {BUSY_SECONDS:g} 秒）；請關掉那個程式再試"
                ) from error
            if code == sqlite3.SQLITE_ERROR:  # such as a table that is missing
                raise self._damaged(str(error)) from error
            raise self._unusable(SQLITE_REASONS.get(code, str(error))) from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # its subclasses tell of a mistake in this module
                raise
            raise self._damaged(str(error)) from error

    def _unusable(self, reason: str) -> UsageError:
        return UsageError(
            f"無法讀寫存放進度的資料夾 {self.folder}（{_line(reason)}）；"
            "請把環境變數 KATA_HOME 設為可以寫入的資料夾，磁碟滿了就先清出空間"
        )

    def _damaged(self, reason: str) -> UsageError:
        return UsageError(
            f"進度檔 {self.path} 已損壞，或不是 torch-kata 的進度檔（{_line(reason)}）；"
            "請把它移到別處再試，檔案原封未動"
        )


def _attempt(row: tuple) -> Attempt:
    _, task_id, time, status, seconds, seed, device, ratio, passed, total, message, checks, source = row
    return Attempt(
        task_id,
        time,
        status,
        seconds,
        int(seed),
        device,
        ratio,
        passed,
        total,
        _decode(message),
        json.loads(_decode(checks)),
        None if source is None else _decode(source),
    )


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _line(text: str) -> str:
    return " ".join(text.split())
