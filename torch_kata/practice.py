"""`kata ask` and `kata review`: questions asked and ticked, and what to repeat when."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

import typer

from torch_kata import bank, review, workspace
from torch_kata.bank import Question
from torch_kata.catalog import Catalog
from torch_kata.errors import UsageError
from torch_kata.progress import Progress

ALL, NONE = "a", ""
MAX_DAYS = 400


def ask(
    topic: Annotated[list[str] | None, typer.Argument(metavar="[主題...]", help="組名、題號、章，或題目裡的字")] = None,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="問幾題")] = 1,
    seed: Annotated[int | None, typer.Option("--seed", help="重現抽到的題目")] = None,
) -> None:
    """問一個面試問題，想好了再看重點，勾出講到的。"""
    catalog, progress = Catalog(), workspace.progress()
    chosen = pick(bank.about(topic or [], catalog), progress, random.Random(seed))[:count]
    for number, question in enumerate(chosen):
        if number:
            print()
        ticked = put(question, catalog)
        if ticked is not None:
            review.record_answer(progress, question.id, ticked, len(question.asked_for))


def pick(questions: list[Question], progress: Progress, rng: random.Random) -> list[Question]:
    """What is due comes first, the longest overdue ahead; then what was never asked, then the rest, at random."""
    due = {key: place for place, key in enumerate(review.due(progress))}
    asked = {question for question, *_ in review.answers(progress)}
    shuffled = rng.sample(questions, len(questions))
    return sorted(shuffled, key=lambda q: (0, due[q.key]) if q.key in due else (1 + (q.id in asked), 0))


def put(question: Question, catalog: Catalog, read: Callable[[str], str] | None = None) -> set[int] | None:
    """Asks one question in the terminal; the numbers (from 0) of what was ticked, None if nobody is there to tick.

    `read` is a function like input(), for a caller who reads the lines itself.
    """
    from torch_kata import render

    console, answering = render.console(), read is not None or sys.stdin.isatty()
    read = read or console.input
    console.print(f"[bold]{bank.GROUPS[question.group]}[/]　難度 {question.level}/5", highlight=False)
    console.print(question.title, style="bold cyan", markup=False, highlight=False)
    if answering:
        read("\n[dim]先自己說一遍，再按 Enter 看重點。[/]")
    heading = "面試官會聽的重點" if question.points else "用你自己的專案回答，講到"
    console.print(f"\n{heading}：", highlight=False)
    for number, point in enumerate(question.asked_for, 1):
        console.print(render.hanging(f"{number}. ", point))
    for title, text in (("小心", "；".join(question.pitfalls)), ("過時的說法", question.dated)):
        if text:
            console.print(render.hanging(f"{title}：", text))
    console.print(render.hanging("出處：", "；".join(question.sources)), style="dim")
    tasks = [task for task in catalog.tasks if task.id in question.tasks]
    if tasks:
        console.print(render.hanging("動手練：", "、".join(f"{t.id} {t.slug}" for t in tasks)), style="dim")
    if not answering:
        return None
    return ticks(len(question.asked_for), read)


def ticks(total: int, read) -> set[int]:  # noqa: ANN001 - a function like input()
    """Reads which points were made, until it is understood: "1 3", "a" for all, nothing for none."""
    while True:
        words = read(f"\n講到了哪幾點？（1 到 {total}，例如 1 3；全部 a；都沒有就按 Enter）").replace(",", " ").split()
        if words == [ALL]:
            return set(range(total))
        if all(word.isdecimal() and 1 <= int(word) <= total for word in words):
            return {int(word) - 1 for word in words}
        print(f"看不懂「{' '.join(words)}」。")


def review_(
    before: Annotated[str | None, typer.Option("--before", metavar="日期", help="面試那天，例如 2026-12-15")] = None,
    minutes: Annotated[int, typer.Option("--minutes", min=5, help="每天打算花幾分鐘")] = 60,
) -> None:
    """今天該複習什麼；加上 --before，就排好到面試那天為止的每一天。"""
    from torch_kata import render

    catalog, progress = Catalog(), workspace.progress()
    days = review.days_until(_interview_day(before)) if before else []
    review.adopt(progress)
    console = render.console()
    tasks = {review.task_key(task.id): task for task in catalog.tasks}
    questions = {question.key: question for question in bank.questions()}
    due = [key for key in review.due(progress) if key in tasks or key in questions]
    if before is None:
        if not due:
            console.print("今天沒有要複習的。做新的題：kata next；問一題：kata ask")
        for key in due:
            if task := tasks.get(key):
                console.print(f"{task.id:03d} {task.slug}　{task.title}", highlight=False)
                console.print(f"    重做一次：kata reset {task.id}，然後 kata watch {task.id}", style="dim")
            else:
                console.print(f"問　{questions[key].title}", markup=False, highlight=False)
        if any(key in questions for key in due):
            console.print("    回答問題：kata ask（到期的先問）", style="dim")
        return
    cards = {key: card for key, card in review.cards(progress).items() if key in tasks or key in questions}
    unseen = [(item.level, key) for key, item in {**tasks, **questions}.items() if key not in cards]
    costs = {key: task.minutes for key, task in tasks.items()} | dict.fromkeys(questions, review.QUESTION_MINUTES)
    order = [key for _, key in sorted(unseen, key=lambda pair: pair[0])]
    names = {key: f"{task.id} {task.slug}" for key, task in tasks.items()}
    console.print(render.plan(review.plan(cards, order, costs, days, minutes), names, costs))


def _interview_day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"看不懂日期「{text}」；寫成 2026-12-15 這樣") from None
    today = datetime.now().date()
    if not 0 < (day - today).days <= MAX_DAYS:
        raise UsageError(f"{day} 不在明天到 {MAX_DAYS} 天之間（今天是 {today}）")
    return day
