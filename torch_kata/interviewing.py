"""`kata interview`: what it is told; how an interview is put together, gone on with, or given up."""

from __future__ import annotations

import random
from typing import Annotated

import typer

from torch_kata import bank, interview_record, picking, practice, review, workspace
from torch_kata.catalog import Catalog
from torch_kata.errors import UsageError
from torch_kata.interview import GIVEN_UP, PASSED, TIME_UP, WAITING, Interview, Part, advice, score
from torch_kata.progress import Progress
from torch_kata.reporting import percent
from torch_kata.verdict import CATEGORIES

ENDINGS = {PASSED: "通過", GIVEN_UP: "放棄", TIME_UP: "時間到", WAITING: "沒有開始"}
MINUTES, LEVEL = 45, "1-5"


def interview_(
    minutes: Annotated[int | None, typer.Option("--minutes", min=5, max=600, help=f"多長（預設 {MINUTES}）")] = None,
    topics: Annotated[
        str | None, typer.Option("--topics", metavar="主題,...", help="選題、標籤或問題的組，例如 ch3,loss（預設全部）")
    ] = None,
    level: Annotated[str | None, typer.Option("--level", metavar="難度", help="3 或 2-4（預設 1-5）")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="重現抽到的題目（紀錄相同時）")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="繼續上一場沒結束的")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="放棄上一場沒結束的")] = False,
) -> None:
    """模擬面試：在時間內做完抽到的題目、回答問題，最後有分數。抽的題目填滿時間，各難度輪流，弱的和沒做過的優先。"""
    chosen = [value for value in (minutes, topics, level, seed) if value is not None]
    if resume + abandon + bool(chosen) > 1:
        raise UsageError("--resume 與 --abandon 只能單獨使用：面試照開始時的設定進行")
    catalog, progress = Catalog(), workspace.progress()
    if abandon:
        ended = interview_record.abandon(progress)
        print(f"放棄了模擬面試 {ended.number}；你寫的還在 {interview_record.folder(progress, ended)}")
        return
    if resume:
        interview = interview_record.resume(progress, catalog)
    else:
        interview = put_together(catalog, progress, minutes or MINUTES, topics or "", level or LEVEL, seed)
        interview_record.begin(progress, interview, catalog)

    from torch_kata.runner.pool import Pool

    with Pool(interview_record.tasks(interview, catalog)) as pool:
        pool.start()  # imports torch while the task is read
        from torch_kata.sitting import Sitting

        ended = Sitting(interview, catalog, progress, pool).hold()
    if ended:
        interview.result, interview.owner = score(interview), None
        try:
            interview_record.save(progress, interview)
        finally:  # the score is worth more than its record
            show_score(interview, catalog)


def put_together(
    catalog: Catalog, progress: Progress, minutes: int, topics: str, level: str, seed: int | None
) -> Interview:
    """An interview that has not begun: its tasks and questions drawn, by the rule of `picking`."""
    from torch_kata.seeds import fresh_seed

    seed = fresh_seed() if seed is None else seed
    rng, words = random.Random(seed), picking.split(topics)
    review.adopt(progress)
    states = workspace.states(catalog, progress.summaries())
    candidates = picking.candidates(catalog, words, level, states)
    tasks = picking.draw(candidates, minutes, picking.weights(candidates, progress), rng)
    ranked = practice.pick(list(bank.questions()), progress, rng)
    asked = picking.questions(tasks, candidates, words, ranked, catalog)
    parts = [
        Part(
            task.id,
            task.slug,
            task.chapter,
            task.minutes,
            checks={category: [0, 0] for category in picking.categories(task)},
            questions={question.id: len(question.asked_for) for question in asked[task.id]},
        )
        for task in tasks
    ]
    return Interview(minutes, seed, words, level, parts)


def show_score(interview: Interview, catalog: Catalog) -> None:
    """How it went: in all, by task, by category, by chapter; and what to go on with."""
    from rich.table import Column, Table

    from torch_kata import render

    console, result = render.console(), interview.result
    console.print()
    console.rule(f"模擬面試 {interview.number} 結束", style="dim")
    console.print(f"[bold]得分 {percent(result['score'])}[/]　{result['summary']}\n")
    right = {"justify": "right", "no_wrap": True}
    tasks = Table("題目", "結果", Column("檢查", **right), Column("分鐘", **right), Column("預期", **right), box=None)
    for part in interview.parts:
        passed, total = part.counted()
        checks = f"{passed}/{total}" if total else "–"
        minutes = f"{part.seconds / 60:.1f}"
        tasks.add_row(f"{part.task:03d} {part.slug}", ENDINGS[part.status], checks, minutes, str(part.minutes))
    console.print(tasks)
    titles = (
        CATEGORIES | {"questions": "問題"} | {c.name: f"{c.name.split('_')[0]} {c.title}" for c in catalog.chapters}
    )
    for heading, shares in (("類別", result["categories"]), ("主題", result["chapters"])):
        table = Table(heading, "得分", box=None)
        for name, share in shares.items():
            table.add_row(titles.get(name, name), render.bar(int(100 * share + 1e-9), 100))
        console.print("", table, sep="\n")
    console.print("\n接下來：")
    for command, reason in advice(interview):
        console.print(render.hanging(f"  {command}　", reason))
