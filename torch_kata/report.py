"""How ready the learner is: what the record says, as figures; `kata report` shows them as one HTML page."""

from __future__ import annotations

import ast
import json
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from torch_kata import bank, review
from torch_kata.catalog import Catalog, Task
from torch_kata.picking import categories as marked
from torch_kata.progress import Progress
from torch_kata.verdict import CATEGORIES

# What a recalled pass is worth, by how it came about: with the solution open, after hints, after failures, at once.
WORTH = {review.AGAIN: 0.3, review.HARD: 0.6, review.GOOD: 0.9, review.EASY: 1.0}
FAILED_SINCE = 0.5
WEEKS = 17
PAUSE = timedelta(minutes=15)
LONGEST, WEAKEST = 12, 10


@dataclass(frozen=True)
class Share:
    """A part of the whole: readiness from 0 to 1, and how many of its items have been passed or answered."""

    name: str
    readiness: float
    done: int
    total: int


@dataclass(frozen=True)
class Weak:
    """A check that has failed often of late: in how many of its attempts, and where its stub stands."""

    task_id: int
    slug: str
    label: str
    category: str
    failed: int
    attempts: int
    link: str


@dataclass(frozen=True)
class Spent:
    """Minutes from beginning a task to its first pass, pauses left out, beside the minutes expected."""

    task_id: int
    slug: str
    minutes: float
    expected: int


@dataclass
class Report:
    """All figures of the page."""

    made: str
    readiness: float
    chapters: list[Share]
    categories: list[Share]
    due: int
    attempts: int
    calendar: list[tuple[date, int]]
    times: list[Spent]
    weakest: list[Weak]
    interviews: list[dict] = field(default_factory=list)

    def document(self) -> dict:
        """The same as JSON can hold it."""
        values = asdict(self)
        values["calendar"] = {day.isoformat(): count for day, count in self.calendar if count}
        return {"schema": 1, **values}


def compile_report(progress: Progress, catalog: Catalog, *, beside: Path, now: datetime | None = None) -> Report:
    """The figures as of `now`; links are relative to the folder `beside`."""
    now = now or datetime.now(UTC)
    review.adopt(progress)
    ready = readiness(progress, now)
    tasks = {task.id: ready.get(review.task_key(task.id), 0.0) for task in catalog.tasks}
    latest, failures, counts = _checks(progress)
    chapters = [_share(c.title, [tasks[t.id] for t in c.tasks]) for c in catalog.chapters]
    questions = _share("問答", [ready.get(question.key, 0.0) for question in bank.questions()])
    categories = [
        _share(title, [_of_category(latest, task, name, tasks) for task in catalog.tasks if name in marked(task)])
        for name, title in CATEGORIES.items()
    ]
    days = Counter(_day(time) for (time,) in progress.rows("SELECT time FROM attempts"))
    by_id = {task.id: task for task in catalog.tasks}
    return Report(
        made=now.astimezone().strftime("%Y-%m-%d %H:%M"),
        readiness=_mean([*tasks.values(), *[ready.get(question.key, 0.0) for question in bank.questions()]]),
        chapters=chapters,
        categories=[*categories, questions],
        due=len(review.due(progress, now)),
        attempts=sum(days.values()),
        calendar=[(day, days[day]) for day in _weeks(now)],
        times=_times(progress, by_id),
        weakest=_weakest(failures, counts, by_id, beside),
        interviews=_interviews(progress),
    )


def readiness(progress: Progress, now: datetime) -> dict[str, float]:
    """By key, from 0 to 1: the probability that it is recalled (FSRS), times what its last pass or answer was worth."""
    kept = review.retention(review.cards(progress), now)
    rated = dict(progress.rows("SELECT key, rating FROM reviews ORDER BY id", since=2))
    states = {review.task_key(task_id): s.state for task_id, s in progress.summaries().items()}
    shares = {f"question:{q}": len(ticked) / total for q, _, ticked, total in review.answers(progress) if total}
    return {
        key: probability
        * shares.get(key, WORTH[rated.get(key, review.GOOD)])
        * (FAILED_SINCE if states.get(key) == "failed" else 1.0)
        for key, probability in kept.items()
    }


def _share(name: str, values: list[float]) -> Share:
    return Share(name, _mean(values), sum(value > 0 for value in values), len(values))


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0


def _checks(progress: Progress) -> tuple[dict[int, dict[str, bool]], Counter, Counter]:
    """For each task which categories its latest attempt passed; and for each check its failures and attempts."""
    latest: dict[int, dict[str, bool]] = {}
    failures, counts = Counter(), Counter()
    for task_id, text in progress.rows("SELECT task_id, checks FROM attempts ORDER BY id"):
        passed: dict[str, bool] = {}
        for check in json.loads(text):
            category, outcome = check["category"], check["outcome"]
            passed[category] = passed.get(category, True) and outcome == "passed"
            key = task_id, check["name"].partition("[")[0], category
            failures[key] += outcome == "failed"
            counts[key] += outcome in ("passed", "failed")
        latest[task_id] = passed
    return latest, failures, counts


def _of_category(latest: dict, task: Task, category: str, tasks: dict[int, float]) -> float:
    """A task's readiness in one category: as a whole if it has passed, else half for a category already right."""
    if tasks[task.id]:
        return tasks[task.id]
    return 0.5 if latest.get(task.id, {}).get(category) else 0.0


def _weakest(failures: Counter, counts: Counter, by_id: dict[int, Task], beside: Path) -> list[Weak]:
    known = [(key, count) for key, count in failures.items() if count and key[0] in by_id]
    known.sort(key=lambda pair: (-pair[1] / counts[pair[0]] * min(pair[1], 5), pair[0]))
    found = []
    for (task_id, function, category), count in known[:WEAKEST]:
        task = by_id[task_id]
        link = Path(os.path.relpath(task.stub, beside)).as_posix()
        label = _labels(task).get(function, function)
        found.append(Weak(task_id, task.slug, label, category, count, counts[task_id, function, category], link))
    return found


def _labels(task: Task) -> dict[str, str]:
    """The Chinese label of each check: the first line of its docstring."""
    functions = [n for n in ast.parse(task.grader.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)]
    return {f.name: (ast.get_docstring(f) or f.name).splitlines()[0] for f in functions}


def _times(progress: Progress, by_id: dict[int, Task]) -> list[Spent]:
    """The tasks passed last: how long the first pass took. A gap of more than `PAUSE` counts as a pause."""
    moments: dict[int, list[tuple[str, str]]] = {}
    queries = "SELECT task_id, time, kind FROM events", "SELECT task_id, time, status FROM attempts"
    for query in queries:
        for task_id, time, what in progress.rows(query):
            moments.setdefault(task_id, []).append((time, what))
    found = []
    for task_id, entries in moments.items():
        entries.sort()
        first = next((index for index, (_, what) in enumerate(entries) if what == "passed"), None)
        if not first or task_id not in by_id:  # passed with the first entry of all: no time was seen
            continue
        times = [datetime.fromisoformat(time) for time, _ in entries[: first + 1]]
        spent = sum((min(b - a, PAUSE) for a, b in zip(times, times[1:], strict=False)), timedelta())
        task = by_id[task_id]
        found.append((entries[first][0], Spent(task_id, task.slug, round(spent.total_seconds() / 60, 1), task.minutes)))
    return [spent for _, spent in sorted(found, key=lambda pair: pair[0], reverse=True)[:LONGEST]]


def _interviews(progress: Progress) -> list[dict]:
    rows = progress.rows("SELECT started, state FROM interviews WHERE ended IS NOT NULL ORDER BY id DESC", since=2)
    return [{"date": _day(started).isoformat(), **json.loads(state).get("result", {})} for started, state in rows]


def _weeks(now: datetime) -> list[date]:
    """Whole weeks from a Monday on, the last of which has today."""
    today = now.astimezone().date()
    monday = today - timedelta(days=today.weekday() + 7 * (WEEKS - 1))
    return [monday + timedelta(days=number) for number in range(7 * WEEKS)]


def _day(time: str) -> date:
    return datetime.fromisoformat(time).astimezone().date()
