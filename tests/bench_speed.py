"""False verdicts of the speed budgets, idle and with every core busy: `nox -s bench -- speed`, or run as a program.

Right answers are the reference solutions and tests/alternatives/; wrong ones the known mistakes that a speed check
must catch. Each is graded through the engine, speed checks alone, as a learner's answer would be.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from torch_kata.catalog import Catalog, Task
from torch_kata.diagnosis import read_mistakes, write_answer
from torch_kata.grading import Settings, request_for
from torch_kata.runner.pool import Pool
from torch_kata.seeds import fresh_seed
from torch_kata.selftest import ALTERNATIVES


@dataclass
class Contender:
    """One answer to one task, and what its rounds gave. `right` says which verdict would be a false one."""

    task: int
    name: str
    right: bool
    passed: int = 0
    rounds: int = 0
    ratios: list[float] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def false(self) -> int:
        return self.rounds - self.passed if self.right else self.passed


def answers(task: Task, folder: Path) -> Iterator[tuple[str, bool, Path]]:
    """(name, whether it is right, target folder) of every answer to the task."""
    yield "reference", True, task.root / "solutions"
    for path in sorted(ALTERNATIVES.glob(f"*/{task.path}")):
        yield f"alternative {path.parent.parent.name}", True, path.parent.parent
    solution = task.solution.read_text(encoding="utf-8")
    for number, mistake in enumerate(read_mistakes(task)):
        if mistake.caught_by in _speed_checks(task):
            yield mistake.why, False, write_answer(task, mistake.apply(solution), folder / f"{task.id}-{number}")


def _speed_checks(task: Task) -> set[str]:
    lines = task.grader.read_text(encoding="utf-8").splitlines()
    marked = [index for index, line in enumerate(lines) if line == "@pytest.mark.speed"]
    following = [next(line for line in lines[index:] if line.startswith("def ")) for index in marked]
    return {line.removeprefix("def ").partition("(")[0] for line in following}


@contextmanager
def busy_cores(busy: bool) -> Iterator[None]:
    """Every core kept busy by a process of ours, if `busy`."""
    workers = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(os.cpu_count() if busy else 0)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _spin() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        sum(range(100_000))


def measure(tasks: list[Task], rounds: int, busy: bool) -> list[Contender]:
    """Every answer graded `rounds` times, each under a new seed."""
    contenders = []
    with tempfile.TemporaryDirectory() as folder, Pool(tasks) as pool, busy_cores(busy):
        every = [(task, *answer) for task in tasks for answer in answers(task, Path(folder).resolve())]
        for task, name, right, target in track(every, "busy" if busy else "idle", console=Console(stderr=True)):
            contender = Contender(task.id, name, right)
            for _ in range(rounds):
                run = pool.run(request_for(task, Settings(target, fresh_seed()), "speed"), fresh=task.fresh)
                checks = [check for check in run.checks if check.category == "speed"]
                contender.rounds += 1
                contender.passed += not run.fault and all(check.outcome == "passed" for check in checks)
                contender.ratios += [check.ratio for check in checks if check.ratio is not None]
                contender.reasons += [check.message for check in checks if check.message][:1]
            contenders.append(contender)
    return contenders


def show(contenders: list[Contender], title: str, console: Console) -> None:
    table = Table("task", "answer", "is", "passed", "false", "ratio min / median / max", title=title)
    for c in contenders:
        ratios = (
            f"{min(c.ratios):.2f} / {median(c.ratios):.2f} / {max(c.ratios):.2f}"
            if c.ratios
            else "by the count of work"
        )
        style = "bold red" if c.false() else ""
        table.add_row(
            str(c.task),
            c.name,
            "right" if c.right else "wrong",
            f"{c.passed}/{c.rounds}",
            str(c.false()),
            ratios,
            style=style,
        )
    console.print(table)
    for right, word in ((True, "false failures"), (False, "false passes")):
        mine = [c for c in contenders if c.right == right]
        console.print(f"{title}: {sum(c.false() for c in mine)} {word} in {sum(c.rounds for c in mine)} gradings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("selection", nargs="*", default=["all"])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    tasks = [task for task in Catalog().select(options.selection) if _speed_checks(task)]
    console, results = Console(), {}
    for title, busy in (("idle", False), ("all cores busy", True)):
        results[title] = measure(tasks, options.rounds, busy)
        show(results[title], title, console)
    if options.json:
        document = {title: [asdict(c) for c in contenders] for title, contenders in results.items()}
        Path(options.json).write_text(json.dumps(document, ensure_ascii=False, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
