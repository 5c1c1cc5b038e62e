"""From tasks to verdicts: correctness in parallel, speed alone afterwards, and the diagnosis of what failed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from torch_kata import diagnosis
from torch_kata.catalog import Task
from torch_kata.runner.pool import Pool, Run
from torch_kata.runner.request import Request
from torch_kata.verdict import Verdict, judge

SPEED_WAITS = "其他檢查都通過後才評速度"
JOBS = os.cpu_count() or 1


@dataclass(frozen=True)
class Settings:
    """What a grading is done with, the same for all its tasks."""

    target: Path
    seed: int
    device: str = "cpu"
    diagnose: bool = True


def request_for(task: Task, settings: Settings, phase: str, only: Iterable[str] = ()) -> Request:
    """The request for one run of a task's grader."""
    return Request(
        task.id,
        str(task.root),
        str(settings.target),
        settings.seed,
        settings.device,
        phase,
        tuple(only),
        task.seconds,
        task.check_seconds,
        task.memory_mb,
    )


def grade(
    tasks: list[Task],
    settings: Settings,
    pool: Pool,
    *,
    jobs: int = JOBS,
    started: Callable[[Task], None] = lambda task: None,
) -> Iterator[Verdict]:
    """The verdicts, each as soon as it stands: those of tasks with a speed check after all others have run."""
    waiting: list[tuple[Task, Run]] = []
    with ThreadPoolExecutor(max(1, min(jobs, len(tasks)))) as executor:

        def correctness(task: Task) -> Run:
            started(task)
            return pool.run(request_for(task, settings, "correct"), fresh=task.fresh)

        futures = {executor.submit(correctness, task): task for task in tasks}
        try:
            for future in as_completed(list(futures)):
                task, run = futures[future], future.result()
                if _awaits_speed(run):
                    waiting.append((task, run))
                else:
                    yield _conclude(task, run, settings, pool)
        except KeyboardInterrupt:  # do not wait for what still runs
            executor.shutdown(wait=False, cancel_futures=True)
            pool.close()
            raise
    for task, run in sorted(waiting, key=lambda pair: pair[0].id):
        started(task)
        speed = pool.run(request_for(task, settings, "speed"), fresh=task.fresh)
        yield _conclude(task, _merged(run, speed), settings, pool)


def _awaits_speed(run: Run) -> bool:
    others = [check for check in run.checks if check.category != "speed"]
    speedy = len(others) < len(run.checks)
    return (
        speedy
        and run.fault is None
        and all(c.outcome == "passed" or c.message for c in others)
        and not any(c.outcome in ("failed", "todo") for c in others)
    )


def _merged(correct: Run, speed: Run) -> Run:
    timed = {check.name: check for check in speed.checks if check.category == "speed"}
    checks = [timed.get(check.name, check) for check in correct.checks]
    return Run(checks, speed.fault, correct.seconds + speed.seconds, speed.timings, correct.leftover + speed.leftover)


def _conclude(task: Task, run: Run, settings: Settings, pool: Pool) -> Verdict:
    for check in run.checks:
        if check.category == "speed" and check.outcome == "not_run" and not check.message:
            check.message = SPEED_WAITS
    verdict = judge(
        task, run.checks, seed=settings.seed, device=settings.device, seconds=round(run.seconds, 3), fault=run.fault
    )
    if run.leftover and verdict.status == "passed":
        verdict.status, verdict.message = "failed", f"有 {len(run.leftover)} 個行程沒有結束：{run.leftover[0][:80]}"
    if settings.diagnose and verdict.status in ("failed", "timeout"):
        diagnosis.diagnose(task, verdict, diagnosis.replayer(task, settings, pool))
    return verdict
