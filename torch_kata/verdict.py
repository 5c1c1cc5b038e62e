"""The one result model: what a run of a task's grader established. Everything shown to a user is a rendering of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch_kata.catalog import Task

SCHEMA = 1
CATEGORIES = {"shape": "形狀", "gradient": "梯度", "numeric": "數值", "behaviour": "行為", "speed": "速度"}
STATUSES = {
    "passed": "通過",
    "failed": "未通過",
    "todo": "尚未作答",
    "error": "無法評分",
    "timeout": "超過時限",
    "crashed": "程式中斷",
    "not_run": "此處不能評",
}


@dataclass
class Check:
    """One check of a grader. `outcome` is passed, failed, todo (the stub's own NotImplementedError) or not_run.

    `message` is the reason in Chinese; `trace` the traceback from the learner's first frame on; `printed` what the
    learner's code wrote; `ratio` a speed check's time over the reference's; `evidence` what a replay is compared with.
    """

    name: str
    category: str
    label: str
    outcome: str = "not_run"
    seconds: float = 0.0
    message: str = ""
    ratio: float | None = None
    diagnosis: str | None = None
    trace: str = ""
    printed: str = ""
    evidence: Any = None

    @property
    def function(self) -> str:
        return self.name.partition("[")[0]


@dataclass
class Verdict:
    """What one task's run established. `message` says what no single check can: a crash, a time limit, a bad file."""

    id: int
    slug: str
    chapter: str
    status: str
    seconds: float
    seed: int
    device: str
    message: str = ""
    checks: list[Check] = field(default_factory=list)

    @property
    def failures(self) -> list[Check]:
        return [check for check in self.checks if check.outcome == "failed"]

    def counted(self, outcome: str) -> int:
        return sum(check.outcome == outcome for check in self.checks)


def judge(
    task: Task,
    checks: list[Check],
    *,
    seed: int,
    device: str,
    seconds: float,
    fault: tuple[str, str] | None,
    missing: str | None = None,
) -> Verdict:
    """The verdict on a task. `fault` is (status, message) when the run did not end by itself; `missing` names what
    this machine lacks. A pass is every collected check with a passed record of its own, and nothing less.
    """
    outcomes = {check.outcome for check in checks}
    status, message = "failed", ""
    if missing:
        status, message = "not_run", missing
    elif fault:
        status, message = fault
    elif not checks:
        status, message = "error", "評分程式沒有回報任何檢查"
    elif outcomes == {"passed"}:
        status = "passed"
    elif "todo" in outcomes and outcomes <= {"todo", "not_run"}:
        status = "todo"
    elif outcomes <= {"passed", "not_run"} and not any(c.outcome == "not_run" and not c.message for c in checks):
        status, message = "not_run", next(check.message for check in checks if check.outcome == "not_run")
    elif outcomes <= {"passed", "not_run"}:
        status, message = "error", "有檢查沒有執行"
    return Verdict(task.id, task.slug, task.chapter, status, seconds, seed, device, message, checks)
