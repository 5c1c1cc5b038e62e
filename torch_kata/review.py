"""When to repeat what: FSRS cards for tasks and questions, rated from what the learner did."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from torch_kata.progress import Progress

if TYPE_CHECKING:
    from sqlite3 import Connection

    from fsrs import Card, Scheduler

AGAIN, HARD, GOOD, EASY = 1, 2, 3, 4
RATINGS = {AGAIN: "看了解答", HARD: "用了提示", GOOD: "錯過才通過", EASY: "一次通過"}
QUESTION_MINUTES = 3


@dataclass(frozen=True)
class Day:
    """One day of a plan: what to repeat, and what to do for the first time, as keys."""

    date: date
    again: tuple[str, ...]
    new: tuple[str, ...]


def task_key(task_id: int) -> str:
    return f"task:{task_id}"


def scheduler() -> Scheduler:
    """FSRS with its default weights; whole days, and no fuzz, so that a plan can be foretold."""
    from fsrs import Scheduler

    return Scheduler(learning_steps=(), relearning_steps=(), enable_fuzzing=False)


# ── ratings ──


def rate_pass(progress: Progress, task_id: int, at: datetime | None = None) -> int | None:
    """Rates the pass just recorded; None if it repeats an answer that has passed before.

    A pass counts the first time, and again once the task was reset or failed since. With the solution open it is
    AGAIN, after hints HARD, after failures GOOD, at once EASY.
    """
    attempts = progress.rows("SELECT time, status FROM attempts WHERE task_id = ? ORDER BY id", task_id)
    passes = [index for index, (_, status) in enumerate(attempts) if status == "passed"]
    if not passes or passes[-1] != len(attempts) - 1:
        return None
    before = passes[-2] if len(passes) > 1 else -1
    failures = attempts[before + 1 : -1]
    events = progress.events(task_id)
    if before >= 0:
        events = [(time, kind) for time, kind in events if time > attempts[before][0]]
        # What is opened after a pass is there to compare with: only what came once the task was begun again counts.
        begun = [time for time, kind in events if kind == "reset"] + [time for time, _ in failures]
        if not begun:
            return None
        events = [(time, kind) for time, kind in events if time >= min(begun)]
    kinds = {kind for _, kind in events}
    rating = AGAIN if kinds & {"solution", "reveal"} else HARD if "hint" in kinds else GOOD if failures else EASY
    rate(progress, task_key(task_id), rating, at)
    return rating


def rating_of_ticks(ticked: int, total: int) -> int:
    """Of a question's points: all EASY, two thirds GOOD, one third HARD, else AGAIN."""
    return EASY if ticked == total else GOOD if 3 * ticked >= 2 * total else HARD if 3 * ticked >= total else AGAIN


def rate(progress: Progress, key: str, rating: int, at: datetime | None = None) -> None:
    """Stores a rating, and when the card is due next."""
    with progress.writing() as connection:
        _rate(connection, key, rating, at or datetime.now(UTC))


def _rate(connection: Connection, key: str, rating: int, at: datetime) -> None:
    from fsrs import Card, Rating

    found = connection.execute("SELECT card FROM cards WHERE key = ?", (key,)).fetchone()
    card = Card.from_json(found[0]) if found else Card(card_id=0)
    if card.last_review:  # a clock that was set back
        at = max(at, card.last_review)
    card, _ = scheduler().review_card(card, Rating(rating), at)
    connection.execute("INSERT INTO reviews VALUES (NULL, ?, ?, ?)", (key, _utc(at), rating))
    connection.execute("INSERT OR REPLACE INTO cards VALUES (?, ?, ?)", (key, _utc(card.due), card.to_json()))


def adopt(progress: Progress) -> None:
    """Gives a card to every task that passed before there were any: GOOD, at its latest pass."""
    known = {key for (key,) in progress.rows("SELECT key FROM cards", since=2)}
    for task_id, time in progress.rows(
        "SELECT task_id, max(time) FROM attempts WHERE status = 'passed' GROUP BY task_id"
    ):
        if task_key(task_id) not in known:
            rate(progress, task_key(task_id), GOOD, datetime.fromisoformat(time))


def record_answer(progress: Progress, question_id: str, ticked: Iterable[int], total: int) -> None:
    """Stores which of a question's points were ticked (numbers from 0), and rates it."""
    ticked, at = sorted(ticked), datetime.now(UTC)
    with progress.writing() as connection:
        values = question_id, _utc(at), json.dumps(ticked), total
        connection.execute("INSERT INTO answers VALUES (NULL, ?, ?, ?, ?)", values)
        _rate(connection, f"question:{question_id}", rating_of_ticks(len(ticked), total), at)


def answers(progress: Progress) -> list[tuple[str, str, list[int], int]]:
    """(question id, time, ticked, total), oldest first."""
    rows = progress.rows("SELECT question, time, ticked, total FROM answers ORDER BY id", since=2)
    return [(question, time, json.loads(ticked), total) for question, time, ticked, total in rows]


# ── what is due ──


def due(progress: Progress, at: datetime | None = None) -> list[str]:
    """The keys that are due before today ends, the longest overdue first. Imports no FSRS: the dashboard asks this."""
    today = (at or datetime.now(UTC)).astimezone().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    midnight = (today + timedelta(days=1)).astimezone()
    rows = progress.rows("SELECT key FROM cards WHERE due < ? ORDER BY due", _utc(midnight), since=2)
    return [key for (key,) in rows]


def cards(progress: Progress) -> dict[str, Card]:
    from fsrs import Card

    return {key: Card.from_json(card) for key, card in progress.rows("SELECT key, card FROM cards", since=2)}


def retention(cards: dict[str, Card], at: datetime | None = None) -> dict[str, float]:
    """For every key the probability, as FSRS estimates it, that it would be right today."""
    judge, at = scheduler(), at or datetime.now(UTC)
    return {key: judge.get_card_retrievability(card, at) for key, card in cards.items()}


def plan(
    cards: dict[str, Card], unseen: list[str], minutes: dict[str, int], days: list[date], budget: int
) -> list[Day]:
    """What to do on each of the days, at most `budget` minutes of them: first what is due, the least certain first,
    then what was never done, in the order given. Supposes that all of it goes GOOD; what does not fit moves on."""
    from fsrs import Card, Rating

    judge, cards, unseen, planned = scheduler(), dict(cards), list(unseen), []
    for day in days:
        noon = datetime(day.year, day.month, day.day, 12).astimezone().astimezone(UTC)
        waiting = [key for key, card in cards.items() if card.due.astimezone().date() <= day]
        waiting.sort(
            key=lambda key: (judge.get_card_retrievability(cards[key], max(noon, cards[key].last_review)), key)
        )
        again, new, left = [], [], budget
        for chosen, candidates in ((again, waiting), (new, unseen)):
            for key in candidates:
                if minutes[key] <= left or (not again and not new):  # a task longer than a day's time still has its day
                    chosen.append(key)
                    left -= minutes[key]
                elif chosen is new:
                    break  # in order: the easy ones come before the hard
        unseen = unseen[len(new) :]
        for key in (*again, *new):
            card = cards.get(key) or Card(card_id=0)
            cards[key], _ = judge.review_card(card, Rating.Good, max(noon, card.last_review or noon))
        planned.append(Day(day, tuple(again), tuple(new)))
    return planned


def days_until(before: date, today: date | None = None) -> list[date]:
    """Today and the days that follow, up to the one before the interview."""
    today = today or datetime.now().date()
    return [today + timedelta(days=number) for number in range((before - today).days)]


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
