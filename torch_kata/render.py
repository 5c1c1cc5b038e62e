"""How verdicts, lists and timings look in a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from torch_kata.catalog import Catalog, Chapter, Task
from torch_kata.progress import Summary
from torch_kata.verdict import CATEGORIES, STATUSES, Check, Verdict

if TYPE_CHECKING:
    from torch_kata.review import Day

MARKS = {"passed": ("✓", "green"), "todo": ("…", "yellow"), "not_run": ("–", "cyan")}
STATES = {"passed": "通過", "failed": "未通過", "todo": "未作答"}
BAR = 24


def console(*, stderr: bool = False) -> Console:
    """A console for the terminal, or for a pipe: then wide enough for every title, and never colored."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 140
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False, emoji=False)


def mark(status: str) -> Text:
    symbol, color = MARKS.get(status, ("✗", "red"))
    return Text(symbol, style=f"bold {color}")


def headline(verdict: Verdict) -> Text:
    """One line: mark, number, name, verdict, checks passed, seconds, and for speed the ratio."""
    color = MARKS.get(verdict.status, ("✗", "red"))[1]
    line = mark(verdict.status)
    line.append(f" {verdict.id:03d} {verdict.slug}", style="bold")
    line.append(f"  {STATUSES[verdict.status]}", style=color)
    if verdict.checks and verdict.status != "todo":
        line.append(f"  {verdict.counted('passed')}/{len(verdict.checks)}")
    ratios = [check.ratio for check in verdict.checks if check.ratio is not None]
    if ratios:
        line.append(f"  速度 {max(ratios):.2f} 倍參考解", style="dim")
    line.append(f"  {verdict.seconds:.2f} 秒", style="dim")
    return line


def brief(verdict: Verdict) -> RenderableType:
    """The headline, and under it the first reason."""
    first = next((check for check in verdict.checks if check.outcome == "failed"), None)
    reason = verdict.message or (f"{first.label}：{first.message}" if first else "")
    if verdict.status in ("passed", "todo") or not reason:
        return headline(verdict)
    diagnosis = next((check.diagnosis for check in verdict.checks if check.diagnosis), None)
    parts = [headline(verdict), _pad(Text(reason.splitlines()[0]), 4)]
    if diagnosis:
        parts.append(_pad(_looks_like(diagnosis), 4))
    return Group(*parts)


def full(verdict: Verdict, task: Task, *, commands: bool = True) -> RenderableType:
    """Everything a learner needs to go on: categories, each failed check once, what the code printed, and which
    `commands` come next.
    """
    parts: list[RenderableType] = [headline(verdict)]
    if verdict.status == "todo":
        if commands:
            parts.append(_indented(f"題目在 {_short(task)}；寫好後再評一次，或用 kata watch 存檔即評。"))
        return Group(*parts)
    if verdict.message:
        parts.append(_indented(verdict.message, "red" if verdict.status != "not_run" else "cyan"))
    parts.append(_pad(_categories(verdict), 2))
    for check, more in _one_of_each(verdict.checks):
        parts.append(_failure(check, more))
    printed = {check.printed.strip(): None for check in verdict.checks if check.printed.strip()}
    if printed:
        parts.append(_indented("你的程式印出：", "dim"))
        parts.append(_pad(Text("\n".join(printed)[:2000]), 4))
    failed = verdict.status in ("failed", "error", "timeout", "crashed")
    if failed and commands:
        parts.append(_indented(f"同樣的輸入再評一次：kata grade {task.id} --seed {verdict.seed}", "dim"))
    return Group(*parts)


def _categories(verdict: Verdict) -> Text:
    line = Text()
    for category, title in CATEGORIES.items():
        checks = [check for check in verdict.checks if check.category == category]
        if not checks:
            continue
        passed = sum(check.outcome == "passed" for check in checks)
        outcome = (
            "passed"
            if passed == len(checks)
            else "failed"
            if any(c.outcome != "not_run" for c in checks)
            else "not_run"
        )
        line.append_text(mark(outcome)).append(f" {title} {passed}/{len(checks)}   ")
    return line


def _one_of_each(checks: Iterable[Check]) -> list[tuple[Check, int]]:
    """The failed and unfinished checks, one for each function and reason, with the number of others like it."""
    groups: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        if check.outcome in ("failed", "todo"):
            key = (check.function, check.diagnosis or "") if check.outcome == "failed" else ("", check.message)
            groups.setdefault(key, []).append(check)
    whole: dict[str, list[Check]] = {}
    for group in groups.values():  # a file that cannot be imported fails every check with the same words
        whole.setdefault(group[0].message, []).extend(group)
    return [(group[0], len(group) - 1) for group in whole.values()]


def _failure(check: Check, more: int) -> RenderableType:
    title = Text(f"{CATEGORIES[check.category]} ", style="bold red" if check.outcome == "failed" else "bold yellow")
    title.append(check.label, style="bold")
    parameters = check.name.partition("[")[2].rstrip("]")
    if parameters:
        title.append(f"  [{parameters}]", style="dim")
    if more:
        title.append(f"  （另有 {more} 項相同）", style="dim")
    body: list[RenderableType] = [title, _pad(Text(check.message), 2)]
    if check.diagnosis:
        body.append(_pad(_looks_like(check.diagnosis), 2))
    if check.trace and check.outcome == "failed":
        body.append(_pad(Text(check.trace, style="dim"), 2))
    return Padding(Group(*body), (1, 0, 0, 2), expand=False)


def _looks_like(diagnosis: str) -> Text:
    return Text("看起來：", style="bold magenta").append(diagnosis, style="magenta")


def _indented(text: str, style: str = "") -> RenderableType:
    return _pad(Text(text, style=style), 2)


def _pad(content: RenderableType, left: int) -> RenderableType:
    return Padding(content, (0, 0, 0, left), expand=False)


def _short(task: Task) -> str:
    return f"exercises/{task.path.as_posix()}"


def board(catalog: Catalog, verdicts: list[Verdict]) -> RenderableType:
    """The score by chapter, and in all."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("章", "通過", "未通過", "未作答", ""):
        table.add_column(title, justify="left" if title in ("章", "") else "right", no_wrap=title != "章")
    for chapter in catalog.chapters:
        mine = [verdict for verdict in verdicts if verdict.chapter == chapter.name]
        if mine:
            table.add_row(f"{chapter.name.split('_')[0]} {chapter.title}", *_score(mine))
    if len({verdict.chapter for verdict in verdicts}) > 1:
        table.add_row("合計", *_score(verdicts), style="bold")
    return table


def _score(verdicts: list[Verdict]) -> list[RenderableType]:
    passed = sum(verdict.status == "passed" for verdict in verdicts)
    todo = sum(verdict.status == "todo" for verdict in verdicts)
    return [str(passed), str(len(verdicts) - passed - todo), str(todo), bar(passed, len(verdicts))]


def bar(part: float, whole: float) -> Text:
    """A bar of fixed width with its share in words."""
    filled = round(BAR * part / whole) if whole else 0
    return Text("█" * filled, style="green").append("░" * (BAR - filled), style="dim").append(f" {part:g}/{whole:g}")


def task_list(
    catalog: Catalog, tasks: list[Task], states: dict[int, str], summaries: dict[int, Summary], width: int
) -> RenderableType:
    """One line a task, by chapter; without the titles where `width` has no room for them."""
    titled = width >= 90
    table = Table(box=None, pad_edge=False, header_style="dim", expand=titled)
    table.add_column("", width=1)
    table.add_column("題", justify="right", min_width=3)
    table.add_column("名稱", min_width=max(len(task.slug) for task in tasks))
    if titled:
        table.add_column("題目", overflow="ellipsis", no_wrap=True, ratio=1)
    for title, columns in (("難度", 4), ("分鐘", 4), ("狀態", 6), ("嘗試", 4), ("最快", 5)):
        table.add_column(title, justify="left" if title == "狀態" else "right", min_width=columns, no_wrap=True)
    for chapter in catalog.chapters:
        mine = [task for task in chapter.tasks if task in tasks]
        if not mine:
            continue
        table.add_row("", "", *_chapter_cells(chapter, titled))
        for task in mine:
            summary, state = summaries.get(task.id), states[task.id]
            table.add_row(
                mark(state),
                str(task.id),
                task.slug,
                *([task.title] if titled else []),
                f"{task.level}/5",
                str(task.minutes),
                Text(STATES[state], style=MARKS.get(state, ("", "red"))[1]),
                str(summary.attempts) if summary else "",
                f"{summary.best_ratio:.2f}x" if summary and summary.best_ratio is not None else "",
            )
    return table


def _chapter_cells(chapter: Chapter, titled: bool) -> list[Text]:
    name = chapter.name.split("_")[0]
    return [Text(word, style="bold") for word in ([name, chapter.title] if titled else [f"{name} {chapter.title}"])]


def timings(times: dict[str, list[float]]) -> RenderableType:
    """Contenders side by side: best and median time, and the best over the reference's."""
    base = min(times.get("參考解") or next(iter(times.values())))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("", "最快", "中位數", "倍數", ""):
        table.add_column(title, justify="right" if title else "left", no_wrap=True)
    slowest = max(min(values) for values in times.values())
    for name, values in times.items():
        best, middle = min(values), sorted(values)[len(values) // 2]
        length = max(1, round(BAR * best / slowest))
        table.add_row(name, _time(best), _time(middle), f"{best / base:.2f}x", Text("█" * length, style="cyan"))
    return table


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.3f} ms" if seconds < 1 else f"{seconds:.2f} s"


@contextlib.contextmanager
def progress(console: Console, total: int, quiet: bool) -> Iterator[Callable[[Task | None], None]]:
    """A bar on a terminal while several tasks are graded: told of a task that starts, and None when one is done."""
    if quiet or total < 2 or not console.is_terminal:
        yield lambda task: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar_:
        line = bar_.add_task("評分中", total=total)

        def advance(task: Task | None) -> None:
            if task is None:
                bar_.advance(line)
            else:
                bar_.update(line, description=f"評分中 {task.id:03d} {task.slug}")

        yield advance


def hanging(label: str, text: str) -> RenderableType:
    """A label, and a text whose further lines begin where its first does."""
    table = Table.grid(padding=0)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text(label), Text(text))
    return table


def plan(days: Iterable[Day], names: Mapping[str, str], minutes: Mapping[str, int]) -> Table:
    """One row a day: what to repeat, what is new, and how long it takes. What has no name is a question."""

    def listed(keys: tuple[str, ...]) -> Text:
        asked = sum(key not in names for key in keys)
        return Text("、".join([names[k] for k in keys if k in names] + [f"問答 {asked} 題"] * bool(asked)) or "–")

    table = Table(
        "日期",
        "複習",
        "新的",
        Column("分鐘", justify="right"),
        title="到面試那天的計畫（問答用 kata ask）",
        show_lines=True,
    )
    for day in days:
        weekday = "一二三四五六日"[day.date.weekday()]
        total = sum(minutes[key] for key in (*day.again, *day.new))
        table.add_row(f"{day.date:%m/%d}（{weekday}）", listed(day.again), listed(day.new), str(total))
    return table
