"""A mock interview: what it remembers, how its time is counted, and what it is worth.

The score does not flatter. A task passed in time counts in full; of one not finished, half of the share of its checks
that the last grading passed; one not begun counts nothing; of a question counts what was ticked, nothing if it was
skipped. All is weighted by the minutes it is expected to take, a question by review.QUESTION_MINUTES.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from torch_kata.review import QUESTION_MINUTES
from torch_kata.verdict import Verdict

WAITING, WORKING, PASSED, GIVEN_UP, TIME_UP = "waiting", "working", "passed", "given_up", "time_up"
UNFINISHED = 0.5
REMINDERS = (10, 5, 1)
PAUSE = 30.0


# ── what it remembers ──


@dataclass
class Part:
    """One task and its questions. `checks` are those passed and all of the latest grading, by category; `questions`
    the number of points of each, `ticked` those made. It is over once `asked`.
    """

    task: int
    slug: str
    chapter: str
    minutes: int
    checks: dict[str, list[int]]
    questions: dict[str, int]
    status: str = WAITING
    seconds: float = 0.0
    ticked: dict[str, int] = field(default_factory=dict)
    asked: bool = False

    def graded(self, verdict: Verdict) -> None:
        """Takes over what a grading established."""
        counts = {category: [0, 0] for category in self.checks}
        for check in verdict.checks:
            count = counts.setdefault(check.category, [0, 0])
            count[0] += check.outcome == "passed"
            count[1] += 1
        self.checks = counts
        if verdict.status == "passed":
            self.status = PASSED

    def counted(self, category: str | None = None) -> tuple[int, int]:
        """How many checks the latest grading passed, and of how many; of one category, or of all."""
        counts = [self.checks[category]] if category else self.checks.values()
        return sum(passed for passed, _ in counts), sum(total for _, total in counts)

    def share(self, category: str | None = None) -> float:
        """What the task is worth, from 0 to 1; or its checks of one category."""
        passed, total = self.counted(category)
        return 1.0 if self.status == PASSED else UNFINISHED * passed / total if total else 0.0


@dataclass
class Interview:
    """Everything that a kill must not lose. `owner` is the process that conducts it."""

    minutes: int
    seed: int
    topics: list[str]
    level: str
    parts: list[Part]
    number: int = 0
    started: str = ""
    owner: tuple[int, float] | None = None
    result: dict = field(default_factory=dict)

    @property
    def left(self) -> float:
        """The seconds left of its time."""
        return 60 * self.minutes - sum(part.seconds for part in self.parts)

    @property
    def current(self) -> Part | None:
        """What is to be worked on or asked about next; None when all is over."""
        part = next((part for part in self.parts if not part.asked), None)
        return None if part is None or (part.status == WAITING and self.left <= 0) else part


# ── its time ──


class Clock:
    """Tells how long it ran since it was last asked, by a source that only goes forward, whatever the time of day.

    Asked again after more than PAUSE, the program was stopped or the computer asleep: that is no time of the learner's.
    """

    def __init__(self, source: Callable[[], float] = time.monotonic) -> None:
        self._source, self._since = source, source()

    def take(self) -> float:
        since, self._since = self._since, self._source()
        spent = self._since - since
        return spent if 0 <= spent <= PAUSE else 0.0


def reminder(minutes: int, before: float, after: float) -> float | None:
    """The minutes left that were reached between two moments (in seconds left), the fewest if several; else None."""
    marks = {minutes / 2, *(mark for mark in REMINDERS if mark < minutes)}
    return min((mark for mark in marks if after <= 60 * mark < before), default=None)


# ── what it is worth ──


def score(interview: Interview) -> dict:
    """The score, from 0 to 1: of all, by category and by chapter; and a line in words."""
    parts = interview.parts
    tasks = [(part.minutes, part.share()) for part in parts]
    asked = [(part.ticked.get(key, 0), total) for part in parts for key, total in part.questions.items()]
    questions = [(QUESTION_MINUTES, ticked / total) for ticked, total in asked]
    names = dict.fromkeys(category for part in parts for category in part.checks)
    categories = {name: _mean((p.minutes, p.share(name)) for p in parts if name in p.checks) for name in names}
    chapters = {name: [] for name in dict.fromkeys(part.chapter for part in parts)}
    for part in parts:
        chapters[part.chapter].append((part.minutes, part.share()))
    passed = sum(part.status == PASSED for part in parts)
    used = round(sum(part.seconds for part in parts) / 60)
    points = f"{sum(ticked for ticked, _ in asked)}/{sum(total for _, total in asked)}"
    return {
        "score": _mean(tasks + questions),
        "summary": f"{passed}/{len(parts)} 題通過，問題講到 {points} 點，{used}/{interview.minutes} 分鐘",
        "categories": categories | ({"questions": _mean(questions)} if questions else {}),
        "chapters": {name: _mean(values) for name, values in chapters.items()},
    }


def _mean(values: Iterable[tuple[float, float]]) -> float:
    """Of (weight, value), rounded down."""
    values = list(values)
    mean = sum(weight * value for weight, value in values) / sum(weight for weight, _ in values)
    return int(10_000 * mean + 1e-6) / 10_000


def advice(interview: Interview) -> list[tuple[str, str]]:
    """Three commands to go on with, each with its reason: the worst first, tasks and questions in turn."""
    parts = interview.parts
    unfinished = sorted((part for part in parts if part.status != PASSED), key=Part.share)
    slow = [part for part in parts if part.status == PASSED and part.seconds > 60 * part.minutes]
    shares = {key: part.ticked.get(key, 0) / total for part in parts for key, total in part.questions.items()}
    missed = sorted((key for key, share in shares.items() if share < 1), key=shares.get)
    tasks = [(f"kata watch {p.task}", f"{p.slug} {_reason(p)}") for p in unfinished]
    tasks += [(f"kata watch {p.task}", f"{p.slug} 花了 {p.seconds / 60:.0f} 分鐘，預期 {p.minutes}") for p in slow]
    asked = [(f"kata ask {key}", f"講到 {shares[key]:.0%} 的重點") for key in missed]
    rest = [("kata review", "今天到期的複習"), ("kata next", "還沒通過的下一題"), ("kata report", "看整體準備得如何")]
    return (tasks[:1] + asked[:1] + tasks[1:2] + asked[1:2] + rest)[:3]


def _reason(part: Part) -> str:
    if part.status == WAITING:
        return "沒有時間開始"
    passed, total = part.counted()
    return f"沒有通過（{passed}/{total} 項檢查）" if total else "沒有評過分"
