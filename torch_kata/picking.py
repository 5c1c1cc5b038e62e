"""Which tasks and questions a mock interview is made of.

The rule: tasks are drawn one at a time, at random, from those that fit into the time that is left, until none does;
so the expected minutes never exceed the time, and what stays empty is shorter than any task not drawn. At each draw
only the levels drawn least so far take part; the first task leaves room for a second where it can. What is weak
weighs most: WEAK for a task that failed last, is due or went badly; UNSEEN for one never attempted; a pass weighs
LATELY, growing to LONG_AGO as FSRS takes it to be forgotten. The same seed, record and day give the same interview.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from importlib.util import find_spec

from torch_kata import bank, review
from torch_kata.bank import Question
from torch_kata.catalog import Catalog, Task
from torch_kata.errors import UsageError
from torch_kata.progress import Progress, Summary
from torch_kata.verdict import CATEGORIES

WEAK, UNSEEN, LONG_AGO, LATELY = 8.0, 4.0, 3.0, 1.0
DUE_AT = 0.9  # the retention at which FSRS, with its default settings, has a card due
LONG_TASK = 20  # minutes from which on a task brings three questions instead of two


def candidates(catalog: Catalog, topics: Sequence[str], level: str, states: Mapping[int, str]) -> list[Task]:
    """The tasks of any of the topics, of the levels wanted, that can run here.

    A topic is a selection, a tag or a group of questions. Raises UsageError for one that names no task.
    """
    lowest, highest = levels(level)
    ids = {task.id for topic in topics for task in _about(topic, catalog, states)}
    return [
        task
        for task in catalog.tasks
        if (not topics or task.id in ids) and lowest <= task.level <= highest and all(map(find_spec, task.needs))
    ]


def levels(text: str) -> tuple[int, int]:
    """The lowest and the highest of "3" or "2-4"."""
    match = re.fullmatch(r"([1-5])(?:-([1-5]))?", text.strip())
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise UsageError(f"看不懂難度「{text}」；--level 寫成 3 或 2-4，從 1 到 5")
    return int(match[1]), int(match[2] or match[1])


def split(topics: str) -> list[str]:
    return [word for word in re.split(r"[,，、\s]+", topics) if word]


def _about(topic: str, catalog: Catalog, states: Mapping[int, str]) -> list[Task]:
    asked = (
        {task_id for q in bank.questions() if q.group == topic for task_id in q.tasks} if topic in bank.GROUPS else ()
    )
    found = [t for t in catalog.tasks if t.id in asked or topic.casefold() in {tag.casefold() for tag in t.tags}]
    try:
        return found + catalog.select([topic], states)
    except UsageError as error:
        if found:
            return found
        raise UsageError(
            f"--topics 的「{topic}」沒有題目：{error}；也可寫標籤（例如 loss）或問題的組（{'、'.join(bank.GROUPS)}）"
        ) from None


# ── tasks ──


def weights(tasks: Iterable[Task], progress: Progress, at: datetime | None = None) -> dict[int, float]:
    """How much each task is preferred, by its number."""
    summaries, due = progress.summaries(), set(review.due(progress, at))
    ratings = dict(progress.rows("SELECT key, rating FROM reviews ORDER BY id", since=2))
    kept = review.retention(review.cards(progress), at)
    keys = {task.id: review.task_key(task.id) for task in tasks}
    return {
        number: weight(summaries.get(number), key in due, ratings.get(key), kept.get(key, 0.0))
        for number, key in keys.items()
    }


def weight(summary: Summary | None, due: bool, rating: int | None, kept: float) -> float:
    """Of one task, from its attempts, whether it is due, how it was rated last, and how likely it is still known."""
    if summary is None:
        return UNSEEN
    if summary.state == "failed" or due or rating in (review.AGAIN, review.HARD):
        return WEAK
    forgotten = min(1.0, (1 - kept) / (1 - DUE_AT))
    return LATELY + forgotten * (LONG_AGO - LATELY)


def draw(tasks: Iterable[Task], minutes: int, weights: Mapping[int, float], rng: random.Random) -> list[Task]:
    """The tasks of an interview of so many minutes, the easiest first. Raises UsageError if there is none."""
    waiting, chosen, left = sorted(tasks, key=lambda task: task.id), [], minutes
    while fitting := [task for task in waiting if task.minutes <= left]:
        if not chosen:
            fitting = _leaving_room(fitting, left)
        drawn = Counter(task.level for task in chosen)
        fewest = min(drawn[task.level] for task in fitting)
        eligible = [task for task in fitting if drawn[task.level] == fewest]
        [task] = rng.choices(eligible, [weights[task.id] for task in eligible])
        waiting.remove(task)
        chosen.append(task)
        left -= task.minutes
    if not chosen:
        raise UsageError(_too_short(waiting, minutes))
    return sorted(chosen, key=lambda task: (task.level, task.minutes, task.id))


def _leaving_room(fitting: list[Task], left: int) -> list[Task]:
    """Those after which another of them still fits; all of them where there is no such pair."""
    pairs = [t for t in fitting if any(t.minutes + other.minutes <= left for other in fitting if other is not t)]
    return pairs or fitting


def _too_short(tasks: list[Task], minutes: int) -> str:
    if not tasks:
        return "沒有符合 --topics 與 --level 而且這台機器能評的題目；請放寬其中一個"
    shortest = min(tasks, key=lambda task: task.minutes)
    return (
        f"符合的 {len(tasks)} 題裡，最短的 {shortest.id} {shortest.slug} 也要 {shortest.minutes} 分鐘，"
        f"{minutes} 分鐘放不下；請加長 --minutes，或放寬 --topics、--level"
    )


def categories(task: Task) -> list[str]:
    """The categories in which a task is judged, as its grader marks them."""
    text = task.grader.read_text(encoding="utf-8")
    return [name for name in CATEGORIES if f"mark.{name}\n" in text]


# ── questions ──


def questions(
    tasks: Sequence[Task], among: Iterable[Task], topics: Sequence[str], ranked: Sequence[Question], catalog: Catalog
) -> dict[int, list[Question]]:
    """Two or three for each task, none twice, in the order they are `ranked`: those that touch the task come first;
    then, where topics were wanted, those of a group named or that touch a task `among` the candidates; then those of
    the task's chapter, and of the groups that ask about it.
    """
    wanted = {task.id for task in among} if topics else set()
    chapters = {task.id: task.chapter for task in catalog.tasks}
    touched = {q.id: {chapters.get(number) for number in q.tasks} for q in ranked}
    groups = {(chapter, q.group) for q in ranked for chapter in touched[q.id]}
    tiers = (
        lambda task, q: task.id in q.tasks,
        lambda task, q: q.group in topics or wanted & set(q.tasks),
        lambda task, q: task.chapter in touched[q.id],
        lambda task, q: (task.chapter, q.group) in groups,
    )
    chosen: dict[int, list[Question]] = {task.id: [] for task in tasks}
    left = list(ranked)
    for near in tiers:  # tier by tier, so that no task takes as its second choice what is the first of another
        for task in tasks:
            missing = (3 if task.minutes >= LONG_TASK else 2) - len(chosen[task.id])
            chosen[task.id] += [question for question in left if near(task, question)][:missing]
            left = [question for question in left if question not in chosen[task.id]]
    return chosen
