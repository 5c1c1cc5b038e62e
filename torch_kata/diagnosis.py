"""What a wrong answer did: the known mistakes of its task, replayed on the checks that failed, under the same seed."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable
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
        """The wrong answer's text. Raises UsageError unless `find` stands exactly once, and the outcome is Python."""
        if (count := solution.count(self.find)) != 1:
            raise UsageError(f"錯誤「{self.why}」的 find 在參考解中出現 {count} 次，應恰好一次")
        text = solution.replace(self.find, self.replace)
        try:
            compile(text, "<mistake>", "exec")
        except SyntaxError as error:
            raise UsageError(f"錯誤「{self.why}」套用之後不是 Python：第 {error.lineno} 行，{error.msg}") from error
        return text


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


# What a mistake gives in the checks named, by check; more checks than were named may be in it.
Replay = Callable[[Mistake, list[str]], dict[str, Check]]


def diagnose(task: Task, verdict: Verdict, replay: Replay) -> None:
    """Writes into the failed checks what the learner did, where a known mistake gives the same values; else nothing.

    A mistake is told for all failed checks if it gives the same value in each and fails no other; or for one check
    alone, if the value there is particular and no other mistake gives it.
    """
    failed = [check for check in verdict.checks if check.outcome == "failed" and check.evidence is not None]
    if not failed or any(check.outcome == "todo" for check in verdict.checks):
        return
    functions, names = {check.function for check in failed}, [check.name for check in failed]
    relevant = [mistake for mistake in read_mistakes(task) if mistake.caught_by in functions]
    with ThreadPoolExecutor(2) as executor:
        replays = dict(zip(relevant, executor.map(lambda mistake: replay(mistake, names), relevant), strict=True))
    agreeing = {m: [check for check in failed if _agrees(check, replayed)] for m, replayed in replays.items()}
    whole = [m for m, checks in agreeing.items() if len(checks) == len(failed)]
    if len(whole) > 1 or (whole and not any(is_telling(check.evidence) for check in failed)):
        passed = [check.name for check in verdict.checks if check.outcome == "passed"]
        whole = [m for m in whole if not passed or _passes(replay(m, passed), passed)]
    if len(whole) == 1:
        for check in failed:
            check.diagnosis = whole[0].why
        return
    for check in failed:
        alike = [m for m, checks in agreeing.items() if check in checks and m.caught_by == check.function]
        if len(alike) == 1 and is_telling(check.evidence):
            check.diagnosis = alike[0].why


def replayer(task: Task, settings: Settings, pool: Pool) -> Replay:
    """Replays by grading the mistakes as answers, under the settings of the verdict in question."""
    from torch_kata.grading import request_for

    solution = task.solution.read_text(encoding="utf-8")

    def replay(mistake: Mistake, names: list[str]) -> dict[str, Check]:
        with tempfile.TemporaryDirectory(prefix="kata-mistake-") as folder:
            target = write_answer(task, mistake.apply(solution), Path(folder).resolve())
            request = request_for(task, replace(settings, target=target), "all", names)
            return {check.name: check for check in pool.run(request, fresh=task.fresh).checks}

    return replay


def _agrees(check: Check, replayed: dict[str, Check]) -> bool:
    other = replayed.get(check.name)
    return other is not None and other.outcome == "failed" and same_evidence(check.evidence, other.evidence)


def _passes(replayed: dict[str, Check], names: list[str]) -> bool:
    # A replay that was cut off holds fewer checks, and proves nothing.
    return all(name in replayed and replayed[name].outcome == "passed" for name in names)
