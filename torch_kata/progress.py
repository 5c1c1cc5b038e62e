"""The learner's attempts, the hints shown, and events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch_kata.store import Damaged, Store, now

if TYPE_CHECKING:
    from torch_kata.verdict import Verdict

EVENTS = ("show", "hint", "solution", "reveal", "reset", "watch")
NOT_AN_ATTEMPT = ("todo", "not_run")
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


class Progress(Store):
    """The learner's record, kept in `folder`."""

    def record(self, verdict: Verdict, *, source: str | None = None) -> None:
        """Stores an attempt. An untouched stub and a task that cannot run here are none."""
        if verdict.status in NOT_AN_ATTEMPT:
            return
        ratios = [check.ratio for check in verdict.checks if check.ratio is not None]
        keys = ("name", "category", "outcome", "message", "diagnosis", "ratio", "seconds")
        checks = [{key: getattr(check, key) for key in keys} for check in verdict.checks]
        row = (
            verdict.id,
            now(),
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
        with self.writing() as connection:
            connection.execute(f"INSERT INTO attempts VALUES (NULL{', ?' * len(row)})", row)

    def summaries(self) -> dict[int, Summary]:
        """By task number, for the tasks that have been attempted."""
        return {
            task_id: Summary("passed" if status == "passed" else "failed", count, bool(ever), ratio, seconds, time)
            for task_id, status, time, count, ever, ratio, seconds in self.rows(SUMMARIES)
        }

    def has_passed(self, task_id: int) -> bool:
        """Whether any attempt passed, whatever came after it."""
        return bool(self.rows("SELECT 1 FROM attempts WHERE task_id = ? AND status = 'passed' LIMIT 1", task_id))

    def attempts(self, task_id: int | None = None) -> list[Attempt]:
        """All attempts, or those at one task, oldest first."""
        # By id, not by time: a clock may be set back.
        rows = self.rows("SELECT * FROM attempts WHERE ?1 IS NULL OR task_id = ?1 ORDER BY id", task_id)
        try:
            return [_attempt(row) for row in rows]
        except (ValueError, TypeError, AttributeError) as error:
            raise Damaged(self.path, str(error)) from error

    def hints_shown(self, task_id: int) -> int:
        rows = self.rows("SELECT shown FROM hints WHERE task_id = ?", task_id)
        return rows[0][0] if rows else 0

    def show_next_hint(self, task_id: int, available: int) -> int:
        """Counts one more hint as shown, of `available` at most; returns how many are shown now."""
        if available <= 0:
            return 0
        with self.writing() as connection:
            connection.execute("INSERT OR IGNORE INTO hints VALUES (?, 0)", (task_id,))
            connection.execute(
                "UPDATE hints SET shown = shown + 1 WHERE task_id = ? AND shown < ?", (task_id, available)
            )
            (shown,) = connection.execute("SELECT shown FROM hints WHERE task_id = ?", (task_id,)).fetchone()
            connection.execute("INSERT INTO events VALUES (NULL, ?, ?, 'hint')", (task_id, now()))
        return min(shown, available)

    def has_open_interview(self) -> bool:
        return bool(self.rows("SELECT 1 FROM interviews WHERE ended IS NULL LIMIT 1", since=2))

    def record_event(self, task_id: int, kind: str) -> None:
        """Stores that something of EVENTS happened now."""
        if kind not in EVENTS:
            raise ValueError(f"unknown event: {kind}")
        with self.writing() as connection:
            connection.execute("INSERT INTO events VALUES (NULL, ?, ?, ?)", (task_id, now(), kind))

    def events(self, task_id: int) -> list[tuple[str, str]]:
        """The (time, kind) of a task's events, oldest first."""
        return self.rows("SELECT time, kind FROM events WHERE task_id = ? ORDER BY id", task_id)


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
