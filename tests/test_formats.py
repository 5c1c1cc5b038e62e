"""Verdicts in the formats of other programs: the fields and values that their specifications ask for."""

import json

import pytest

from torch_kata import formats
from torch_kata.verdict import Check, Verdict


def verdict(status, *outcomes, message="", id=29):
    checks = [
        Check(f"test_{n}[a-1]", "numeric", f"標籤 {n}", outcome, message="" if outcome == "passed" else "差 0.1")
        for n, outcome in enumerate(outcomes)
    ]
    return Verdict(id, "focal_loss", "ch3_models", status, 1.4, 7, "cpu", message, checks)


PASSED = verdict("passed", "passed", "passed", "passed")
FAILED = verdict("failed", "passed", "failed", "not_run", id=30)
BROKEN = verdict("error", message="第 3 行語法錯誤", id=31)
CRASHED = verdict("crashed", "passed", "not_run", message="被 SIGSEGV 終止", id=32)
TODO = verdict("todo", "todo", "todo", id=33)


def test_exercism_of_a_pass():
    document = formats.exercism([PASSED])
    assert document["version"] == 3 and document["status"] == "pass" and document["message"] is None
    assert [test["status"] for test in document["tests"]] == ["pass"] * 3
    assert all({"name", "test_code", "status", "task_id"} <= test.keys() for test in document["tests"])
    assert len({test["name"] for test in document["tests"]}) == 3


def test_exercism_of_failures():
    FAILED.checks[1].diagnosis, FAILED.checks[1].printed = "少了負號", "x" * 900
    document = formats.exercism([PASSED, FAILED])
    assert document["status"] == "fail"
    assert [test["status"] for test in document["tests"]] == ["pass"] * 4 + ["fail", "error"]
    assert [test["task_id"] for test in document["tests"]] == [1] * 3 + [2] * 3
    failed = document["tests"][4]
    assert "差 0.1" in failed["message"] and "少了負號" in failed["message"] and len(failed["output"]) == 500


@pytest.mark.parametrize("verdicts", [[BROKEN], [BROKEN, BROKEN]])
def test_exercism_where_nothing_ran(verdicts):
    document = formats.exercism(verdicts)
    assert document["status"] == "error" and "第 3 行語法錯誤" in document["message"] and document["tests"] == []


def test_exercism_of_an_untouched_stub_is_a_failure():
    assert formats.exercism([TODO])["status"] == "fail"


def test_gradescope_gives_a_point_a_task_and_a_whole_one_only_for_a_pass():
    document = formats.gradescope([PASSED, FAILED, BROKEN, CRASHED, TODO])
    points = {}
    for test in document["tests"]:
        task = test["number"].split(".")[0]
        points[task] = points.get(task, 0) + test["score"]
        assert test["status"] in ("passed", "failed") and (test["score"] == test["max_score"]) == (
            test["status"] == "passed"
        )
    assert {task: round(total, 3) for task, total in points.items()} == {
        "29": 1.0,
        "30": 0.333,
        "31": 0.0,
        "32": 0.0,  # what passed before a crash proves nothing
        "33": 0.0,
    }
    assert sum(test["max_score"] for test in document["tests"]) == pytest.approx(5, abs=1e-4)
    assert "第 3 行語法錯誤" in document["output"] and isinstance(document["execution_time"], int)


@pytest.mark.parametrize("form", ["exercism", "gradescope", "json"])
def test_by_the_program(run, home, form):
    finished = run("grade", "2", "--format", form, env=home)
    document = json.loads(finished.stdout)
    assert finished.returncode == 1
    assert document.get("status") == "fail" if form == "exercism" else "tests" in document or "tasks" in document


def test_a_format_nobody_knows(run, home):
    finished = run("grade", "2", "--format", "yaml", env=home)
    assert finished.returncode == 2 and "yaml" in finished.stderr and finished.stderr.count("\n") == 1
