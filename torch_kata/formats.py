"""Verdicts for other programs: our own JSON, Exercism's results.json (version 3) and Gradescope's results.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from torch_kata.verdict import CATEGORIES, SCHEMA, STATUSES, Check, Verdict

FORMATS = ("text", "json", "exercism", "gradescope")
EXERCISM_OUTPUT = 500  # characters of a test's output that its site shows
NOTHING_RAN = ("error", "timeout", "crashed", "not_run")


def ours(verdicts: list[Verdict], *, seed: int, device: str, target: str, versions: dict[str, str]) -> dict[str, Any]:
    """The JSON document of a grading (schema 1)."""
    tasks = []
    for verdict in verdicts:
        entry = asdict(verdict)
        for check in entry["checks"]:
            del check["evidence"]
        tasks.append(entry)
    return {
        "schema": SCHEMA,
        "seed": seed,
        "device": device,
        "target": target,
        "versions": versions,
        "tasks": tasks,
    }


def exercism(verdicts: list[Verdict]) -> dict[str, Any]:
    """One results.json for all tasks: exercism.org/docs/building/tooling/test-runners/interface, version 3.

    `task_id`, which numbers the parts of an exercise there, numbers the tasks of the selection here.
    """
    tests = []
    for number, verdict in enumerate(verdicts, 1):
        for check in verdict.checks:
            test = {
                "name": f"{verdict.id:03d} {verdict.slug} / {CATEGORIES[check.category]} / {check.label}",
                "test_code": check.name,
                "status": {"passed": "pass", "not_run": "error"}.get(check.outcome, "fail"),
                "task_id": number,
            }
            if check.outcome != "passed":
                test["message"] = _reason(verdict, check)
            if check.printed.strip():
                test["output"] = _cut(check.printed.strip())
            tests.append(test)
    ran = any(check.outcome in ("passed", "failed", "todo") for verdict in verdicts for check in verdict.checks)
    if not ran:
        reasons = [f"{v.id:03d} {v.slug}: {v.message or STATUSES[v.status]}" for v in verdicts]
        return {"version": 3, "status": "error", "message": "\n".join(reasons), "tests": []}
    status = "pass" if all(verdict.status == "passed" for verdict in verdicts) else "fail"
    return {"version": 3, "status": status, "message": None, "tests": tests}


def gradescope(verdicts: list[Verdict]) -> dict[str, Any]:
    """One point a task for a whole pass, shared out among its checks: what is not a pass is never a full point."""
    tests = []
    for verdict in verdicts:
        share = 1 / max(1, len(verdict.checks))
        whole = verdict.status == "passed"
        checks = verdict.checks or [Check("all", "behaviour", STATUSES[verdict.status], message=verdict.message)]
        for number, check in enumerate(checks, 1):
            passed = check.outcome == "passed" and (whole or verdict.status not in NOTHING_RAN)
            tests.append(
                {
                    "name": f"{verdict.id:03d} {verdict.slug}: {check.label}",
                    "number": f"{verdict.id}.{number}",
                    "score": round(share, 6) if passed else 0.0,
                    "max_score": round(share, 6),
                    "status": "passed" if passed else "failed",
                    "output": "" if passed else _reason(verdict, check),
                    "tags": [verdict.chapter, check.category],
                    "visibility": "visible",
                }
            )
    return {
        "execution_time": round(sum(verdict.seconds for verdict in verdicts)),
        "output": "\n".join(f"{v.id:03d} {v.slug}: {STATUSES[v.status]} {v.message}".rstrip() for v in verdicts),
        "output_format": "text",
        "stdout_visibility": "visible",
        "tests": tests,
    }


def _reason(verdict: Verdict, check: Check) -> str:
    reason = check.message or verdict.message or STATUSES[verdict.status]
    return f"{reason}\n看起來：{check.diagnosis}" if check.diagnosis else reason


def _cut(text: str) -> str:
    return text if len(text) <= EXERCISM_OUTPUT else text[: EXERCISM_OUTPUT - 1] + "…"
