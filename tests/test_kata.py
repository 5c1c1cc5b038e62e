"""The kata command, run as a program."""

import json
import sqlite3

import pytest

from torch_kata.catalog import Catalog

TASK = Catalog().select(["29"])[0]


def solve(checkout, *ids):
    for task in Catalog(checkout).select([str(i) for i in ids]):
        task.stub.write_text(task.solution.read_text("utf-8"), "utf-8")


def test_the_dashboard_leads_to_the_first_task(run, home):
    finished = run("--version", env=home)
    assert finished.stdout.startswith("torch-kata ")
    finished = run(*(["-m", "torch_kata.cli"]), env=home)
    assert finished.returncode == 0
    assert "001 tensor_numpy" in finished.stdout and "kata watch 1" in finished.stdout


def test_grading_all_untouched_stubs(run, home):
    finished = run("grade", "all", "--json", env=home)
    document = json.loads(finished.stdout)
    assert finished.returncode == 1
    assert document["schema"] == 1
    assert {task["status"] for task in document["tasks"]} == {"todo"}
    assert not any(check["outcome"] == "passed" for task in document["tasks"] for check in task["checks"])


def test_grading_all_solutions(run, home):
    finished = run("grade", "all", "--target", "solutions", "--json", env=home)
    tasks = json.loads(finished.stdout)["tasks"]
    assert [task for task in tasks if task["status"] != "passed"] == []
    assert finished.returncode == 0 and len(tasks) == len(Catalog().tasks)


def test_json_has_what_the_design_says(run, home):
    finished = run("grade", "29", "--target", "solutions", "--json", "--seed", "7", env=home)
    document = json.loads(finished.stdout)
    task = document["tasks"][0]
    assert finished.returncode == 0
    assert (document["seed"], document["device"], document["target"]) == (7, "cpu", "solutions")
    assert (task["id"], task["slug"], task["chapter"], task["status"]) == (29, "focal_loss", "ch3_models", "passed")
    keys = {"name", "category", "label", "outcome", "seconds", "message", "ratio", "diagnosis"}
    assert all(keys <= check.keys() for check in task["checks"])
    assert [check["ratio"] is not None for check in task["checks"]].count(True) == 1


def test_an_attempt_is_recorded_and_opens_the_solution(run, checkout, home):
    shut = run("solution", "29", cwd=checkout, env=home)
    assert shut.returncode == 2 and "--reveal" in shut.stderr and not shut.stdout
    assert "class FocalLoss" in run("solution", "29", "--reveal", cwd=checkout, env=home).stdout
    solve(checkout, 29)
    assert run("grade", "29", cwd=checkout, env=home).returncode == 0
    assert "class FocalLoss" in run("solution", "29", cwd=checkout, env=home).stdout
    assert "完全相同" in run("diff", "29", cwd=checkout, env=home).stdout
    listed = run("list", "29", cwd=checkout, env=home).stdout
    assert "通過" in listed and "x" in listed
    assert "29" not in run("list", "todo", cwd=checkout, env=home).stdout.split()


def test_a_reset_keeps_the_answer(run, checkout, home):
    solve(checkout, 29)
    answer = (checkout / "exercises" / TASK.path).read_text("utf-8")
    finished = run("reset", "29", cwd=checkout, env=home)
    assert finished.returncode == 0
    assert "NotImplementedError" in (checkout / "exercises" / TASK.path).read_text("utf-8")
    backups = list((checkout.parent / "home" / "backups" / TASK.stem).iterdir())
    assert [path.read_text("utf-8") for path in backups] == [answer]
    assert "本來就是" in run("reset", "29", cwd=checkout, env=home).stdout


def test_hints_come_one_at_a_time(run, home):
    said = [run("hint", "29", env=home).stdout for _ in range(3)]
    assert [text.count("提示 ") for text in said] == [1, 2, 3]


def test_a_wrong_answer_is_told_what_it_did(run, checkout, home):
    wrong = TASK.solution.read_text("utf-8").replace(
        "(self.alpha * targets + (1 - self.alpha) * (1 - targets))", "self.alpha"
    )
    (checkout / "exercises" / TASK.path).write_text(wrong, "utf-8")
    finished = run("grade", "29", cwd=checkout, env=home)
    assert finished.returncode == 1
    assert "看起來：兩類都乘了 alpha" in finished.stdout


def test_what_no_known_mistake_explains_is_not_explained(run, checkout, home):
    wrong = TASK.solution.read_text("utf-8").replace("F.softplus(-z)", "F.softplus(-z) * 1.01")
    (checkout / "exercises" / TASK.path).write_text(wrong, "utf-8")
    task = json.loads(run("grade", "29", "--json", cwd=checkout, env=home).stdout)["tasks"][0]
    assert task["status"] == "failed"
    assert {check["diagnosis"] for check in task["checks"]} == {None}


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["grade", "focal_los"], "focal_loss"),
        (["grade", "passed"], "空的"),
        (["grade", "29", "--target", "nowhere"], "nowhere"),
        (["grade", "29", "--device", "tpu"], "tpu"),
        (["show", "ch1"], "一次只看一題"),
        (["hint", "200"], "200"),
        (["solution", "29"], "--reveal"),
    ],
)
def test_bad_input_is_one_line_and_status_2(run, home, arguments, said):
    finished = run(*arguments, env=home)
    assert finished.returncode == 2
    assert said in finished.stderr and finished.stderr.count("\n") == 1 and not finished.stdout


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b""])
def test_a_damaged_progress_file_is_kept_aside(run, tmp_path, content):
    path = tmp_path / "progress.db"
    path.write_bytes(content or b"SQLite format 3\0" + b"\xff" * 2000)
    before = path.read_bytes()
    finished = run("list", env={"KATA_HOME": str(tmp_path)})
    assert finished.returncode == 2
    assert "progress.db" in finished.stderr and finished.stderr.count("\n") == 1
    [kept] = tmp_path.glob("progress-damaged-*.db")
    assert kept.name in finished.stderr and kept.read_bytes() == before and not path.exists()
    assert run("list", env={"KATA_HOME": str(tmp_path)}).returncode == 0


def test_a_newer_progress_file_is_kept(run, tmp_path):
    path = tmp_path / "progress.db"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    finished = run("grade", "29", "--target", "solutions", env={"KATA_HOME": str(tmp_path)})
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_still_shows_the_verdict(run, checkout, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("", "utf-8")
    solve(checkout, 29)
    finished = run("grade", "29", cwd=checkout, env={"KATA_HOME": str(blocker / "below")})
    assert finished.returncode == 2
    assert "通過" in finished.stdout and "KATA_HOME" in finished.stderr and "Traceback" not in finished.stderr


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_a_terminal_that_cannot_show_everything(run, home, encoding):
    finished = run("list", env={**home, "PYTHONIOENCODING": encoding}, encoding=encoding)
    assert finished.returncode == 0 and "focal_loss" in finished.stdout
    document = run("grade", "29", "--json", env={**home, "PYTHONIOENCODING": encoding}, encoding=encoding).stdout
    assert json.loads(document)["tasks"][0]["checks"][0]["label"]


def test_the_commands_that_only_look_import_no_torch(run, home):
    code = (
        "import sys\nfrom torch_kata import cli\n"
        "for arguments in (['list'], ['show', '29'], ['--help'], []):\n"
        "    sys.argv = ['kata', *arguments]\n"
        "    try: cli.main()\n"
        "    except SystemExit: pass\n"
        "print('TORCH', 'torch' in sys.modules, 'NUMPY', 'numpy' in sys.modules)"
    )
    finished = run("-m", "timeit", "-n1", "-r1", f"exec({code!r})", env=home)
    assert "TORCH False NUMPY False" in finished.stdout, finished.stderr


def test_a_bench_compares_and_draws(run, home, tmp_path):
    finished = run("bench", "29", "--target", "solutions", "--png", str(tmp_path / "t.png"), env=home)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "你的解" in finished.stdout and "參考解" in finished.stdout
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")
