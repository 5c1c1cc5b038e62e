"""What a wrong answer did: the known mistakes of its task, replayed on the checks that failed, under the same seed."""

from __future__ import annotations

import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch_kata.catalog import Task
from torch_kata.checks.record import is_telling, same_evidence
from torch_kata.errors import UsageError
from torch_kata.verdict import Check, Verdict

if TYPE_CHECKING:
    from torch_kata.grading import Settings
    from torch_kata.runner.pool import Pool


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer: the reference solution with `find` replaced by `replace`; `caught_by` must notice."""

    why: str
    find: str
    replace: str
    caught_by: str

    def apply(self, solution: str) -> str:
        """The wrong answer's text. Raises UsageError unless `find` stands exactly once in the solution."""
        if (count := solution.count(self.find)) != 1:
            raise UsageError(f"錯誤「{self.why}」的 find 在參考解中出現 {count} 次，應恰好一次")
        return solution.replace(self.find, self.replace)


def read_mistakes(task: Task) -> list[Mistake]:
    """The known mistakes of a task. Raises UsageError for a file that cannot be read."""
    try:
        document = tomllib.loads(task.mistakes.read_text(encoding="utf-8"))
        return [Mistake(**block) for block in document["mistake"]]
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"{task.mistakes} 讀不懂：{error}") from error


def write_answer(task: Task, text: str, folder: Path) -> Path:
    """A target folder in which `text` is the task's answer."""
    path = folder / task.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


def diagnose(task: Task, verdict: Verdict, settings: Settings, pool: Pool) -> None:
    """Writes into the failed checks what the learner did, where a known mistake gives the same values; else nothing.

    A mistake is told for all failed checks if it gives the same value in each and fails no other; or for one check
    alone, if the value there is particular and no other mistake gives it.
    """
    failed = [check for check in verdict.checks if check.outcome == "failed" and check.evidence is not None]
    functions = {check.function for check in failed}
    if not failed or any(check.outcome == "todo" for check in verdict.checks):
        return
    mistakes = read_mistakes(task)
    replays = _replay(task, mistakes, failed, settings, pool)
    agreeing = {
        mistake: [check for check in failed if _agrees(check, replayed)] for mistake, replayed in replays.items()
    }
    whole = [m for m, checks in agreeing.items() if len(checks) == len(failed) and m.caught_by in functions]
    if len(whole) > 1 or (len(whole) == 1 and not any(is_telling(check.evidence) for check in failed)):
        whole = [m for m in whole if _fails_nothing_else(task, m, verdict, settings, pool)]
    if len(whole) == 1:
        for check in failed:
            check.diagnosis = whole[0].why
        return
    for check in failed:
        alike = [m for m, checks in agreeing.items() if check in checks and m.caught_by == check.function]
        if len(alike) == 1 and is_telling(check.evidence):
            check.diagnosis = alike[0].why


def _replay(
    task: Task, mistakes: list[Mistake], checks: list[Check], settings: Settings, pool: Pool
) -> dict[Mistake, dict[str, Check]]:
    """Each mistake's own records of the checks."""
    functions = {check.function for check in checks}
    relevant = [mistake for mistake in mistakes if mistake.caught_by in functions]
    with ThreadPoolExecutor(2) as executor:
        runs = executor.map(lambda m: _run(task, m, [check.name for check in checks], settings, pool), relevant)
        return dict(zip(relevant, runs, strict=True))


def _run(task: Task, mistake: Mistake, names: list[str], settings: Settings, pool: Pool) -> dict[str, Check]:
    from torch_kata.grading import request_for

    solution = task.solution.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="kata-mistake-") as folder:
        target = write_answer(task, mistake.apply(solution), Path(folder).resolve())
        request = request_for(task, replace(settings, target=target), "all", names)
        return {check.name: check for check in pool.run(request, fresh=task.fresh).checks}


def _agrees(check: Check, replayed: dict[str, Check]) -> bool:
    other = replayed.get(check.name)
    return other is not None and other.outcome == "failed" and same_evidence(check.evidence, other.evidence)


def _fails_nothing_else(task: Task, mistake: Mistake, verdict: Verdict, settings: Settings, pool: Pool) -> bool:
    passed = [check.name for check in verdict.checks if check.outcome == "passed"]
    if not passed:
        return True
    return all(
        check.outcome == "passed"
        for check in _run(task, mistake, passed, settings, pool).values()
        if check.name in passed
    )
