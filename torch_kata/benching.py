"""Timings of a task's contenders side by side, and their picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from torch_kata.catalog import Task
from torch_kata.grading import Settings, request_for
from torch_kata.runner.pool import Pool
from torch_kata.seeds import fresh_seed
from torch_kata.workspace import home

ENGLISH = {"你的解": "yours", "參考解": "reference", "對照": "baseline"}


@dataclass
class Measured:
    """Seconds of each call, by check and contender; or why there are none."""

    timings: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    reason: str = ""


def measure(task: Task, target: Path, seed: int | None, pool: Pool) -> Measured:
    """Runs the task's speed checks as a comparison, judging nothing."""
    settings = Settings(target, fresh_seed() if seed is None else seed)
    run = pool.run(request_for(task, settings, "bench"), fresh=task.fresh)
    speed = [check for check in run.checks if check.category == "speed"]
    timings = {check.label: run.timings[check.name] for check in speed if run.timings.get(check.name)}
    if timings:
        return Measured(timings)
    failed = next((check.message for check in speed if check.message), "")
    reason = run.fault[1] if run.fault else failed or "這一題沒有速度檢查"
    return Measured(reason=reason)


def draw(task: Task, timings: dict[str, dict[str, list[float]]], path: Path | None) -> Path:
    """A PNG with every call's time, contender by contender. Its words are English: Chinese needs a font of its own."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    path = path or home(task.root) / "bench" / f"{task.stem}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(
        len(timings), 1, figsize=(7, 1 + 1.6 * len(timings)), squeeze=False, layout="constrained"
    )
    for axis, times in zip(axes[:, 0], timings.values(), strict=True):
        names = list(times)
        milliseconds = [[second * 1e3 for second in times[name]] for name in names]
        axis.boxplot(milliseconds, orientation="horizontal", whis=(0, 90), showfliers=False)
        labels = [f"{ENGLISH[name]}  {median(times[name]) * 1e3:.3g} ms" for name in names]
        axis.set_yticks(range(1, len(names) + 1), labels)
        axis.set_xlim(left=0)
        axis.set_xlabel("milliseconds a call")
        axis.invert_yaxis()
        axis.grid(axis="x", alpha=0.3)
    figure.suptitle(f"{task.id:03d} {task.slug}")
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
