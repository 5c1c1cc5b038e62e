"""The SQLite file under `.kata/` that all records share: its tables, its transactions, what its errors mean."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from torch_kata.errors import UsageError

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

# One entry for each schema, which adds to the one before. The columns that may be long come last, so that a query
# without them reads no overflow page. Text from the learner is a BLOB, since TEXT refuses lone surrogates; the seed is
# TEXT, since torch's reach 2**64 - 1. Times are UTC in ISO 8601; rows come in order of id: a clock may be set back.
MIGRATIONS = (
    (
        """CREATE TABLE attempts (
            id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, time TEXT NOT NULL, status TEXT NOT NULL,
            seconds REAL NOT NULL, seed TEXT NOT NULL, device TEXT NOT NULL, ratio REAL,
            passed INTEGER NOT NULL, total INTEGER NOT NULL,
            message BLOB NOT NULL, checks BLOB NOT NULL, source BLOB)""",
        "CREATE INDEX attempts_by_task ON attempts (task_id, status, seconds, ratio)",
        "CREATE TABLE hints (task_id INTEGER PRIMARY KEY, shown INTEGER NOT NULL)",
        """CREATE TABLE events (
            id INTEGER PRIMARY KEY, task_id INTEGER NOT NULL, time TEXT NOT NULL, kind TEXT NOT NULL)""",
    ),
    (
        # What is rated is a task or a question: its key is "task:29" or "question:conv-output-size".
        """CREATE TABLE reviews (
            id INTEGER PRIMARY KEY, key TEXT NOT NULL, time TEXT NOT NULL, rating INTEGER NOT NULL)""",
        "CREATE TABLE cards (key TEXT PRIMARY KEY, due TEXT NOT NULL, card TEXT NOT NULL)",
        """CREATE TABLE answers (
            id INTEGER PRIMARY KEY, question TEXT NOT NULL, time TEXT NOT NULL, ticked TEXT NOT NULL,
            total INTEGER NOT NULL)""",
        "CREATE TABLE interviews (id INTEGER PRIMARY KEY, started TEXT NOT NULL, ended TEXT, state TEXT NOT NULL)",
    ),
)
SCHEMA = len(MIGRATIONS)


class Damaged(UsageError):
    """The file is no database of ours, or no longer one. `path` is the file, untouched."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"進度檔 {path} 已損壞，或不是 torch-kata 的進度檔（{_line(reason)}）")


class Store:
    """The file in `folder`, which the first write creates. What goes wrong with it is a UsageError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "progress.db"
        self._verified = False

    def rows(self, sql: str, *parameters: object, since: int = 1) -> list[tuple]:
        """What a query gives; nothing when there is no file, or one older than schema `since`, which it needs."""
        with self._explained():
            if not self.path.exists():
                return []
            with self._transaction("BEGIN") as connection:
                return connection.execute(sql, parameters).fetchall() if self._schema(connection) >= since else []

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, all of it or nothing, in a file that has today's tables."""
        with self._explained():
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._transaction("BEGIN IMMEDIATE") as connection:
                schema = self._schema(connection)
                for statements in MIGRATIONS[schema:]:
                    for statement in statements:
                        connection.execute(statement)
                if schema < SCHEMA:
                    connection.execute(f"PRAGMA user_version = {SCHEMA}")
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

    def _schema(self, connection: sqlite3.Connection) -> int:
        """The schema of the tables there are; 0 for none."""
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > SCHEMA:
            raise UsageError(
                f"進度檔 {self.path} 是較新版的 torch-kata 寫的（格式 {version}，這一版只讀得懂 {SCHEMA}）；"
                "請更新 torch-kata，檔案原封未動"
            )
        if version < 0 or (version == 0 and connection.execute("SELECT 1 FROM sqlite_master").fetchone()):
            raise Damaged(self.path, "不是 torch-kata 寫的資料庫")
        return version

    def _verify(self, connection: sqlite3.Connection) -> None:
        """Refuses to add to a file damaged where this write would not look; once, since it reads the whole file."""
        if not self._verified:
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if result != "ok":
                raise Damaged(self.path, result)
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
                raise Damaged(self.path, str(error)) from error
            raise self._unusable(SQLITE_REASONS.get(code, str(error))) from error
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # its subclasses tell of a mistake of ours
                raise
            raise Damaged(self.path, str(error)) from error

    def _unusable(self, reason: str) -> UsageError:
        return UsageError(
            f"無法讀寫存放進度的資料夾 {self.folder}（{_line(reason)}）；"
            "請把環境變數 KATA_HOME 設為可以寫入的資料夾，磁碟滿了就先清出空間"
        )


def keep_aside(path: Path) -> Path:
    """Renames a damaged file, with its journal, so that a new one can begin; the new name."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    names = [f"progress-damaged-{stamp}{suffix}.db" for suffix in ("", *(f"-{number}" for number in range(2, 100)))]
    kept = next(kept for name in names if not (kept := path.with_name(name)).exists())
    path.rename(kept)
    with suppress(FileNotFoundError):
        path.with_name(f"{path.name}-journal").rename(kept.with_name(f"{kept.name}-journal"))
    return kept


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _line(text: str) -> str:
    return " ".join(text.split())
