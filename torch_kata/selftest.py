"""What proves the graders: the reference passes, the stub is todo, every known mistake is caught and told, and right
answers in other styles pass. `python -m torch_kata.selftest` prints the matrix."""

from __future__ import annotations

import argparse
import ast
import doctest
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from torch_kata import diagnosis
from torch_kata.catalog import ROOT, Catalog, Task
from torch_kata.diagnosis import Mistake, read_mistakes, write_answer
from torch_kata.errors import UsageError
from torch_kata.grading import JOBS, Settings, grade
from torch_kata.originals import drifted, original
from torch_kata.runner.pool import Pool
from torch_kata.seeds import fresh_seed
from torch_kata.verdict import Check, Verdict

ALTERNATIVES = ROOT / "tests" / "alternatives"
COLUMNS = {
    "reference": "參考解",
    "stub": "題目",
    "mistakes": "錯誤被抓到",
    "diagnoses": "說得出",
    "alternatives": "其他寫法",
    "text": "題目與解一致",
}


@dataclass
class Row:
    """One task's line of the matrix: for each column how many held of how many, and what did not."""

    id: int
    slug: str
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    tried: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COLUMNS, 0))
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, column: str, holds: bool, problem: str) -> None:
        self.tried[column] += 1
        self.held[column] += holds
        if not holds:
            self.problems.append(f"{COLUMNS[column]}：{problem}")

    def green(self) -> bool:
        return not self.problems


def examine(task: Task, pool: Pool, rounds: int, jobs: int = 1, seeds: Callable[[], int] = fresh_seed) -> Row:
    """Everything that proves one task's grader."""
    row = Row(task.id, task.slug)
    if drifted(task):
        row.count("text", False, "fixtures/stubs 裡的副本不同；執行 python -m torch_kata.originals")
        return row
    _text(task, row)
    for _ in range(rounds):
        verdict = _verdict(task, task.root / "solutions", pool, seeds())
        row.seconds = max(row.seconds, verdict.seconds)
        row.count("reference", verdict.status == "passed", _told(verdict))
    stub = _verdict(task, task.root / "exercises", pool, seeds(), unsolved=True)
    row.count("stub", stub.status == "todo" and not stub.counted("passed"), _told(stub))
    try:
        mistakes = read_mistakes(task)
    except UsageError as error:
        row.count("mistakes", False, str(error))
        mistakes = []
    _mistakes(task, mistakes, row, pool, seeds(), jobs)
    found = sorted(ALTERNATIVES.glob(f"*/{task.path}"))
    for path in found:
        verdict = _verdict(task, path.parent.parent, pool, seeds())
        row.count("alternatives", verdict.status == "passed", f"{path.parent.parent.name}：{_told(verdict)}")
    if not found:
        row.count("alternatives", False, "一個也沒有")
    return row


def _verdict(task: Task, target: Path, pool: Pool, seed: int, *, unsolved: bool = False) -> Verdict:
    if unsolved:  # the learner may have solved the stub; the self-test looks at the one that git knows
        text = original(task)
        with tempfile.TemporaryDirectory(prefix="kata-stub-") as folder:
            return _verdict(task, write_answer(task, text, Path(folder).resolve()), pool, seed)
    [verdict] = grade([task], Settings(target, seed, diagnose=False), pool, jobs=1)
    return verdict


def _mistakes(task: Task, mistakes: list[Mistake], row: Row, pool: Pool, seed: int, jobs: int) -> None:
    """Each mistake as an answer, and then diagnosed: replayed itself, beside what the others gave as answers."""
    replay = diagnosis.replayer(task, Settings(task.root / "solutions", seed), pool)
    solution = task.solution.read_text(encoding="utf-8")
    try:
        texts = [mistake.apply(solution) for mistake in mistakes]
    except UsageError as error:
        row.count("mistakes", False, str(error))
        return

    def graded(text: str) -> Verdict:
        with tempfile.TemporaryDirectory(prefix="kata-mistake-") as folder:
            return _verdict(task, write_answer(task, text, Path(folder).resolve()), pool, seed)

    def diagnosed(mistake: Mistake) -> None:
        def remembered(other: Mistake, names: list[str]) -> dict[str, Check]:
            if other == mistake:
                return replay(mistake, names)
            return {check.name: check for check in verdicts[other].checks}

        diagnosis.diagnose(task, verdicts[mistake], remembered)

    with ThreadPoolExecutor(jobs) as executor:
        verdicts = dict(zip(mistakes, executor.map(graded, texts), strict=True))
        list(executor.map(diagnosed, mistakes))
    for mistake, verdict in verdicts.items():
        caught = any(check.function == mistake.caught_by for check in verdict.failures)
        row.count("mistakes", caught, f"「{mistake.why}」沒有被 {mistake.caught_by} 抓到：{_told(verdict)}")
        if "NameError" in " ".join([verdict.message, *(check.message for check in verdict.failures)]):
            row.count("mistakes", False, f"「{mistake.why}」用了不存在的名稱，抓到的不是那個錯誤：{_told(verdict)}")
        told = {check.diagnosis for check in verdict.failures if check.function == mistake.caught_by}
        other = "、".join(sorted(filter(None, told - {mistake.why}))) or "什麼也沒說"
        row.count("diagnoses", mistake.why in told, f"「{mistake.why}」被說成：{other}（seed {seed}）")


def _told(verdict: Verdict) -> str:
    reasons = [f"{check.name}：{check.message}" for check in verdict.checks if check.outcome == "failed"]
    passed = [check.name for check in verdict.checks if check.outcome == "passed"]
    return f"{verdict.status} {verdict.message} {'；'.join(reasons[:2])} (seed {verdict.seed}, passed {len(passed)})"


def _text(task: Task, row: Row) -> None:
    """The stub's parts and interface, its examples under the solution, and the chapter's block."""
    stub, solution = original(task), task.solution.read_text(encoding="utf-8")
    doc = ast.get_docstring(ast.parse(stub)) or ""
    for part in ("題目", "介面", "評分", "範例", "面試追問"):
        row.count("text", f"\n{part}\n" in doc + "\n", f"題目缺少「{part}」")
    ours, theirs = _interface(stub), _interface(solution)
    for name, signature in ours.items():
        row.count("text", theirs.get(name) == signature, f"{name} 的介面：題目 {signature}，解 {theirs.get(name)}")
    failures = run_examples(doc, task)
    row.count("text", not failures, f"範例：{failures}")
    complete = len(task.hints) == 3 and 1 <= task.level <= 5 and task.minutes > 0 and task.tags
    row.count("text", bool(complete), "chapter.toml 需要 level 1 到 5、minutes、tags 與三個 hints")


def _interface(source: str) -> dict[str, str]:
    """Signature by public name, of functions, classes and their methods."""

    def functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, str]]:
        for node in body:
            if isinstance(node, ast.FunctionDef) and (
                not node.name.startswith("_") or node.name in ("__init__", "__call__")
            ):
                yield (
                    prefix + node.name,
                    ast.unparse(node.args) + " -> " + ast.unparse(node.returns or ast.Constant(None)),
                )
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield prefix + node.name, ", ".join(map(ast.unparse, node.bases))
                yield from functions(node.body, f"{prefix}{node.name}.")

    return dict(functions(ast.parse(source).body))


def run_examples(doc: str, task: Task) -> str:
    """What the docstring's examples print wrongly under the solution, in a process of their own; empty if nothing."""
    examples = doctest.DocTestParser().get_examples(doc)
    if not examples:
        return "沒有範例"
    code = (
        "import doctest, importlib.util, sys\n"
        "spec = importlib.util.spec_from_file_location(sys.argv[2], sys.argv[1])\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules[sys.argv[2]] = module\n"
        "spec.loader.exec_module(module)\n"
        "test = doctest.DocTestParser().get_doctest(sys.stdin.read(), vars(module), 'example', None, 0)\n"
        "runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)\n"
        "sys.exit(runner.run(test).failed)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        finished = subprocess.run(
            [sys.executable, "-c", code, str(task.solution), task.stem],
            input=doc,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(task.solution.parent)},  # for the processes that an example starts
        )
    return "" if finished.returncode == 0 else (finished.stdout + finished.stderr)[-600:]


def show(rows: list[Row], console: Console) -> None:
    """The matrix, and below it what is not green."""
    table = Table(title="自我測試", header_style="bold")
    table.add_column("題")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    table.add_column("秒", justify="right")
    for row in rows:
        cells = [
            f"[{'green' if row.held[c] == row.tried[c] else 'bold red'}]{row.held[c]}/{row.tried[c]}" for c in COLUMNS
        ]
        table.add_row(f"{row.id:03d} {row.slug}", *cells, f"{row.seconds:.1f}")
    console.print(table)
    for row in rows:
        for problem in row.problems:
            console.print(f"{row.id:03d} {problem}", markup=False, highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m torch_kata.selftest", description=__doc__)
    parser.add_argument("selection", nargs="*", default=["all"])
    parser.add_argument("--rounds", type=int, default=20, help="runs of each reference, each under a new seed")
    parser.add_argument("--jobs", type=int, default=JOBS, help="tasks examined at a time; of one task, its mistakes")
    parser.add_argument("--json", metavar="FILE", help="also write the matrix as JSON")
    options = parser.parse_args()
    try:
        tasks = Catalog().select(options.selection)
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    rows: list[Row] = []
    console = Console()
    with (
        Pool(tasks) as pool,
        ThreadPoolExecutor(options.jobs) as executor,
        Progress(console=console, transient=True) as bar,
    ):
        progress = bar.add_task("自我測試", total=len(tasks))
        jobs = options.jobs if len(tasks) == 1 else 1
        for future in as_completed([executor.submit(examine, task, pool, options.rounds, jobs) for task in tasks]):
            rows.append(row := future.result())
            bar.advance(progress)
            if not console.is_terminal or not row.green():  # a long run that is cut off has said something
                state = "green" if row.green() else f"RED {row.problems[0][:200]}"
                console.print(f"{row.id:03d} {row.slug}: {state}", markup=False, highlight=False, soft_wrap=True)
    rows.sort(key=lambda row: row.id)
    show(rows, console)
    if options.json:
        matrix = [{**asdict(row), "green": row.green()} for row in rows]
        Path(options.json).write_text(json.dumps(matrix, ensure_ascii=False, indent=1), encoding="utf-8")
    green = sum(row.green() for row in rows)
    print(f"{green} passed, {len(rows) - green} failed")
    return 0 if green == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
