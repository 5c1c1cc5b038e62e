"""The commands: what each one is told, does and prints. Thin: the work is done elsewhere, and imported when needed."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from torch_kata import __version__
from torch_kata.catalog import ROOT, Catalog, Task, resolve_target
from torch_kata.errors import UsageError
from torch_kata.formats import FORMATS

app = typer.Typer(
    help="PyTorch 面試練習：寫題目、評分、看懂錯在哪裡。選題可寫 29、3-7、ch3、focal_loss、todo、failed、all。",
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Selection = Annotated[list[str], typer.Argument(metavar="題目...", help="29、3-7、ch3、focal_loss、todo、failed、all")]
One = Annotated[str, typer.Argument(metavar="題目", help="題號或名稱")]
Reveal = Annotated[bool, typer.Option("--reveal", help="還沒通過也要看")]
Device = Annotated[str, typer.Option("--device", metavar="cpu|cuda", help="在哪個裝置上評分")]
Seed = Annotated[int | None, typer.Option("--seed", help="重現某一次評分的輸入")]
Target = Annotated[str, typer.Option("--target", metavar="exercises|solutions|DIR", help="評哪個資料夾")]


def main() -> None:
    """The `kata` command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a GBK or ASCII terminal shows what it can
            stream.reconfigure(errors="replace")
    try:
        _register(sys.argv[1:])
        app()
    except UsageError as error:
        print(f"kata: {error}{_kept_aside(error)}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback(invoke_without_command=True)
def dashboard(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="印出版本")] = False
) -> None:
    """現在在哪裡，接下來做什麼。"""
    if version:
        print(f"torch-kata {__version__}")
        return
    if context.invoked_subcommand:
        return
    catalog, states, summaries = _standing()
    from torch_kata import render, review

    console = render.console()
    console.print(f"[bold]torch-kata[/] {__version__}　PyTorch 面試練習 {len(catalog.tasks)} 題\n")
    for chapter in catalog.chapters:
        passed = sum(states[task.id] == "passed" for task in chapter.tasks)
        title = f"{chapter.name.split('_')[0]} {chapter.title}"
        padding = " " * max(1, 26 - render.Text(title).cell_len)
        console.print(render.Text(f"  {title}{padding}").append_text(render.bar(passed, len(chapter.tasks))))
    if _progress().has_open_interview():
        console.print("\n[bold]有一場模擬面試還沒結束[/]：kata interview --resume")
    due = review.due(_progress())
    if due:
        questions = sum(key.startswith("question:") for key in due)
        console.print(f"\n今天該複習 {len(due) - questions} 題、{questions} 問：kata review")
    failed = [task for task in catalog.tasks if states[task.id] == "failed"]
    if failed:
        console.print("\n未通過：" + "、".join(f"{task.id} {task.slug}" for task in failed[:5]))
    task = _next(catalog, states)
    if task is None:
        console.print("\n全部通過了。kata list 看每一題的紀錄。")
        return
    console.print(f"\n下一題：[bold]{task.id:03d} {task.slug}[/]　{task.title}（約 {task.minutes} 分鐘）")
    console.print(f"  檔案　　　　exercises/{task.path.as_posix()}", soft_wrap=True)
    console.print(f"  看題目　　　kata show {task.id}")
    console.print(f"  存檔即評分　kata watch {task.id}")
    console.print(f"  評一次　　　kata grade {task.id}")
    console.print(f"  要提示　　　kata hint {task.id}")
    hint = "" if summaries else "（還沒有任何嘗試；kata --help 列出所有指令）"
    if hint:
        console.print(f"\n{hint}", style="dim")


@app.command("list")
def list_(selection: Annotated[list[str] | None, typer.Argument(metavar="[題目...]", help="預設 all")] = None) -> None:
    """列出題目：難度、分鐘、狀態、嘗試次數、最快的速度比。"""
    catalog, states, summaries = _standing()
    from torch_kata import render

    tasks = catalog.select(selection or ["all"], states)
    console = render.console()
    console.print(render.task_list(catalog, tasks, states, summaries, console.width))


@app.command()
def show(task: One) -> None:
    """印出題目。"""
    catalog, states, summaries = _standing()
    chosen = _one(catalog, task)
    from torch_kata import bank, originals, render

    source = originals.original(chosen)
    console = render.console()
    console.print(render.Text(source.split('"""')[1].strip()), soft_wrap=True)
    summary = summaries.get(chosen.id)
    attempts = f"，嘗試 {summary.attempts} 次" if summary else ""
    console.print(
        f"\n難度 {chosen.level}/5，約 {chosen.minutes} 分鐘，{'、'.join(chosen.tags)}；"
        f"{render.STATES[states[chosen.id]]}{attempts}",
        style="dim",
    )
    console.print(f"檔案 exercises/{chosen.path.as_posix()}", style="dim", soft_wrap=True)
    if questions := bank.count_of_task(chosen.id):
        console.print(f"相關的面試問題 {questions} 題：kata ask {chosen.id}", style="dim")
    _note(chosen, "show")


@app.command("next")
def next_() -> None:
    """印出下一題的題目。"""
    catalog, states, _ = _standing()
    task = _next(catalog, states)
    if task is None:
        print("全部通過了。")
        return
    show(str(task.id))


@app.command()
def grade(
    selection: Selection,
    target: Target = "exercises",
    device: Device = "cpu",
    seed: Seed = None,
    as_json: Annotated[bool, typer.Option("--json", help="同 --format json")] = False,
    format: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="text 以外的，stdout 只印一份 JSON，別無其他")
    ] = "text",
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="同時評幾題（速度檢查永遠單獨評）")] = os.cpu_count() or 1,
) -> None:
    """評分。結束狀態：0 全部通過，1 有未通過的，2 用法錯誤。"""
    catalog, states, _ = _standing()
    tasks = catalog.select(selection, states)
    folder = resolve_target(target)
    _check_device(device)
    if format not in FORMATS:
        raise UsageError(f"沒有 {format} 這個格式；--format 可用 {'、'.join(FORMATS)}")
    format = "json" if as_json else format
    with _pool(tasks, lasting=len(tasks) > 2) as pool:
        if device == "cpu":
            pool.start()  # imports torch while we import the rest
        verdicts, unrecorded = _graded(tasks, folder, device, seed, pool, jobs=jobs, quiet=format != "text")
    if format != "text":
        _print_json(verdicts, target, format)
    elif len(verdicts) > 1:
        from torch_kata import render

        render.console().print("", render.board(catalog, verdicts), sep="\n")
    if unrecorded:
        raise unrecorded
    raise typer.Exit(0 if all(verdict.status == "passed" for verdict in verdicts) else 1)


@app.command()
def watch(
    selection: Annotated[list[str] | None, typer.Argument(metavar="[題目...]", help="預設 all")] = None,
    device: Device = "cpu",
) -> None:
    """存檔就重評那一題；Ctrl-C 結束。"""
    catalog, states, _ = _standing()
    tasks = catalog.select(selection or ["all"], states)
    _check_device(device)
    with _pool(tasks) as pool:
        pool.start()
        from torch_kata import render, watching

        console = render.console()
        names = tasks[0].path.as_posix() if len(tasks) == 1 else f"{len(tasks)} 題"
        console.print(f"正在看 exercises/ 裡的 {names}；存檔就評分，Ctrl-C 結束。", soft_wrap=True)
        try:
            for changed in watching.saved(tasks):
                console.rule(style="dim")
                _, unrecorded = _graded(changed, ROOT / "exercises", device, None, pool)
                if unrecorded:
                    print(f"kata: {unrecorded}", file=sys.stderr)
        except KeyboardInterrupt:
            console.print("結束。")


@app.command()
def hint(task: One) -> None:
    """多給一個提示。"""
    catalog = Catalog()
    chosen = _one(catalog, task)
    _keep_shut(chosen)
    if not chosen.hints:
        print("這一題沒有提示。")
        return
    shown = _progress().show_next_hint(chosen.id, len(chosen.hints))
    for number, text in enumerate(chosen.hints[:shown], 1):
        print(f"提示 {number}/{len(chosen.hints)}　{text}")
    if shown == len(chosen.hints):
        print(f"提示都在這裡了。真的卡住時：kata solution {chosen.id} --reveal")


@app.command()
def solution(task: One, reveal: Reveal = False) -> None:
    """印出參考解；通過之後才打得開。"""
    chosen = _opened(task, reveal, "solution")
    from rich.syntax import Syntax

    from torch_kata import render

    text = chosen.solution.read_text(encoding="utf-8")
    if sys.stdout.isatty():
        render.console().print(Syntax(text, "python", theme="ansi_dark", background_color="default"))
    else:
        print(text, end="")


@app.command()
def diff(task: One, reveal: Reveal = False) -> None:
    """你的解與參考解的差異；通過之後才打得開。"""
    chosen = _opened(task, reveal, "diff")
    import difflib

    lines = [path.read_text(encoding="utf-8").splitlines() for path in (chosen.stub, chosen.solution)]
    names = [f"{folder}/{chosen.path.as_posix()}" for folder in ("exercises", "solutions")]
    difference = list(difflib.unified_diff(*lines, *names, lineterm=""))
    colors = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m"}
    colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in difference or ["完全相同。"]:
        color = colors.get(line[:1], "") if colored else ""
        print(f"{color}{line}\x1b[0m" if color else line)


@app.command()
def reset(selection: Selection) -> None:
    """把題目還原成未作答的樣子；你的解會先備份。"""
    from torch_kata import workspace

    catalog, states, _ = _standing()
    for task in catalog.select(selection, states):
        backup = workspace.reset(task)
        if backup is None:
            print(f"{task.id:03d} {task.slug}　本來就是原來的題目")
        else:
            print(f"{task.id:03d} {task.slug}　已還原；你的解備份在 {_shown(backup)}")
            _note(task, "reset")


@app.command()
def bench(
    selection: Selection,
    seed: Seed = None,
    target: Target = "exercises",
    png: Annotated[Path | None, typer.Option("--png", help="圖存到哪裡（預設 .kata/bench/）")] = None,
) -> None:
    """你的解、參考解與對照並排計時，印成表並畫成圖。"""
    catalog, states, _ = _standing()
    tasks = catalog.select(selection, states)
    folder = resolve_target(target)
    with _pool(tasks) as pool:
        pool.start()
        from torch_kata import benching, render

        console, measured = render.console(), 0
        for task in tasks:
            result = benching.measure(task, folder, seed, pool)
            if not result.timings:
                console.print(f"{task.id:03d} {task.slug}　{result.reason}", soft_wrap=True, markup=False)
                continue
            measured += 1
            for label, times in result.timings.items():
                console.print(
                    f"[bold]{task.id:03d} {task.slug}[/]　{label}　（每個 {len(times['參考解'])} 次，交錯計時）"
                )
                console.print(render.timings(times))
            path = benching.draw(task, result.timings, png)
            console.print(f"圖：{_shown(path)}", style="dim", soft_wrap=True)
    raise typer.Exit(0 if measured else 1)


# Commands in modules of their own: where each is found, so that another command need not import it.
ELSEWHERE = {
    "ask": "practice.ask",
    "review": "practice.review_",
    "interview": "interviewing.interview_",
    "report": "reporting.report",
}


def _register(words: list[str]) -> None:
    """Adds the command that is asked for; all of them where the list of commands may be shown."""
    own = {command.name or command.callback.__name__.strip("_") for command in app.registered_commands}
    asked = next((word for word in words if not word.startswith("-")), "" if words else "list")
    for name in [asked] if asked in ELSEWHERE else [] if asked in own else ELSEWHERE:
        module, function = ELSEWHERE[name].split(".")
        app.command(name)(getattr(importlib.import_module(f"torch_kata.{module}"), function))


# ── what the commands share ──


def _progress():
    from torch_kata import workspace

    return workspace.progress()


def _keep_shut(task: Task) -> None:
    """Raises UsageError while a mock interview is open that asks this task."""
    if _progress().has_open_interview():
        from torch_kata import interview_record

        interview_record.keep_shut(_progress(), task.id)


def _kept_aside(error: UsageError) -> str:
    """What becomes of a damaged record: it is kept under another name, and the next command begins a new one."""
    from torch_kata.store import Damaged, keep_aside

    if not isinstance(error, Damaged):
        return ""
    try:
        return f"；已把它改名為 {keep_aside(error.path).name} 保存，再執行一次就從新的紀錄開始"
    except OSError as reason:
        return f"；請把它移到別處再試（無法改名：{reason.strerror}）"


def _standing() -> tuple[Catalog, dict[int, str], dict]:
    """The catalogue, every task's state, and the summaries of its attempts."""
    from torch_kata import workspace

    catalog, summaries = Catalog(), workspace.progress().summaries()
    return catalog, workspace.states(catalog, summaries), summaries


def _next(catalog: Catalog, states: dict[int, str]) -> Task | None:
    """The first task that has failed since, else the first that is not done."""
    return next((task for task in catalog.tasks if states[task.id] != "passed"), None)


def _one(catalog: Catalog, word: str) -> Task:
    tasks = catalog.select([word])
    if len(tasks) != 1:
        raise UsageError(f"「{word}」是 {len(tasks)} 題；這個指令一次只看一題，例如 {tasks[0].id}")
    return tasks[0]


def _opened(word: str, reveal: bool, what: str) -> Task:
    """The task, if its solution may be seen: it has passed, or the learner asks for it."""
    task, progress = _one(Catalog(), word), _progress()
    _keep_shut(task)
    if not progress.has_passed(task.id) and not reveal:
        raise UsageError(f"第 {task.id} 題還沒通過；通過後再看，或 kata {what} {task.id} --reveal")
    _note(task, "solution" if progress.has_passed(task.id) else "reveal")
    return task


def _note(task: Task, kind: str) -> None:
    """Remembers that it was done; a folder that cannot be written is no reason not to do it."""
    try:
        _progress().record_event(task.id, kind)
    except UsageError as error:
        print(f"kata: {error}", file=sys.stderr)


def _pool(tasks: list[Task], *, lasting: bool = True):
    from torch_kata.runner.pool import Pool

    return Pool(tasks, lasting=lasting)


def _check_device(device: str) -> None:
    if device not in ("cpu", "cuda"):
        raise UsageError(f"沒有 {device} 這個裝置；--device 可用 cpu 或 cuda")


def _graded(
    tasks: list[Task],
    folder: Path,
    device: str,
    seed: int | None,
    pool,  # noqa: ANN001 - Pool
    *,
    jobs: int = os.cpu_count() or 1,
    quiet: bool = False,
):
    """The verdicts in order, each shown and recorded as soon as it stands."""
    from torch_kata import grading, render, review, seeds

    settings = grading.Settings(folder, seeds.fresh_seed() if seed is None else seed, device)
    own = folder == ROOT / "exercises"
    sources = {task.id: _source(task) for task in tasks} if own else {}
    by_id = {task.id: task for task in tasks}
    console, verdicts, unrecorded = render.console(), [], None
    with render.progress(console, len(tasks), quiet) as advance:
        for verdict in grading.grade(tasks, settings, pool, jobs=jobs, started=advance):
            task = by_id[verdict.id]
            stale = own and _source(task) != sources[task.id]
            if stale:  # some checks saw the old text and some the new: such a verdict is worth nothing
                verdict.status, verdict.message = "error", "評分時檔案又被存檔了；請再評一次"
            advance(None)
            verdicts.append(verdict)
            if not quiet:
                console.print(render.full(verdict, task) if len(tasks) <= 3 else render.brief(verdict))
            if own and not stale and unrecorded is None:
                try:
                    _progress().record(verdict, source=sources[task.id])
                    if verdict.status == "passed":
                        review.rate_pass(_progress(), task.id)
                except UsageError as error:  # the verdict is worth more than its record
                    unrecorded = error
    return sorted(verdicts, key=lambda verdict: verdict.id), unrecorded


def _source(task: Task) -> str | None:
    try:
        return task.stub.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def _print_json(verdicts: list, target: str, format: str) -> None:
    from torch_kata import formats

    document = formats.exercism(verdicts) if format == "exercism" else formats.gradescope(verdicts)
    if format == "json":
        from importlib.metadata import version

        versions = {name: version(name) for name in ("torch", "torchvision", "torch-kata")}
        versions["python"] = sys.version.split()[0]
        seed, device = verdicts[0].seed, verdicts[0].device
        document = formats.ours(verdicts, seed=seed, device=device, target=target, versions=versions)
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    print(json.dumps(document, ensure_ascii=ascii_only, indent=1))


def _shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    main()
