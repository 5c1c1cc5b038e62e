"""pytest as a learner uses it."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from torch_kata.catalog import Catalog

TASK = Catalog().select(["29"])[0]
GRADER = f"graders/{TASK.chapter}/test_{TASK.stem}.py"


def test_collection_imports_neither_torch_nor_any_stub(run, checkout):
    (checkout / "exercises" / TASK.path).write_text("def broken(:\n", encoding="utf-8")
    code = (
        "import pytest, sys\n"
        "status = pytest.main(['--collect-only', '-q', '-p', 'no:cacheprovider'])\n"
        "print('TORCH', 'torch' in sys.modules, 'NUMPY', 'numpy' in sys.modules)\n"
        "raise SystemExit(status)"
    )
    (checkout / "collect.py").write_text(code, encoding="utf-8")
    finished = run("-m", "collect", cwd=checkout)
    assert finished.returncode == 0
    assert "TORCH False NUMPY False" in finished.stdout
    assert f"{GRADER}::test_unknown_reduction" in finished.stdout


def test_a_stubs_own_path_collects_its_grader(run):
    finished = run("-m", "pytest", f"exercises/{TASK.path}", "--collect-only", "-q")
    ids = [line for line in finished.stdout.splitlines() if "::" in line]
    assert ids and all(line.startswith(GRADER) for line in ids)
    one = run("-m", "pytest", ids[0], "--collect-only", "-q")
    assert ids[0] in one.stdout


def test_a_solutions_own_path_grades_the_solution(run):
    finished = run("-m", "pytest", f"solutions/{TASK.path}", "-q", "-m", "behaviour or shape")
    assert finished.returncode == 0, finished.stdout


def test_an_untouched_stub_is_todo_and_not_passed(run):
    finished = run("-m", "pytest", "-k", "t029", "-q", "-p", "no:cacheprovider")
    assert finished.returncode == 1
    assert re.search(r"\d+ todo in", finished.stdout)
    assert "passed" not in finished.stdout.splitlines()[-1]
    assert "尚未作答" in finished.stdout


def test_the_options_work_together(run, tmp_path):
    report = tmp_path / "report.xml"
    options = f"-k t029 -m gradient --target solutions --device cpu --seed 7 --junitxml={report}"
    finished = run("-m", "pytest", *options.split())
    assert finished.returncode == 0, finished.stdout
    assert "seed 7" in finished.stdout
    suite = ET.parse(report).getroot().find("testsuite")
    names = [case.get("name") for case in suite]
    assert len(names) == int(suite.get("tests")) and all("gradient" in name for name in names)


def test_a_target_outside_the_checkout(run, tmp_path):
    (tmp_path / TASK.chapter).mkdir()
    (tmp_path / TASK.path).write_text("x = 1\n", encoding="utf-8")
    finished = run("-m", "pytest", "-k", "t029", "-q", "--target", str(tmp_path))
    assert "檔案裡沒有 FocalLoss" in finished.stdout


def test_a_target_that_does_not_exist(run):
    finished = run("-m", "pytest", "--target", "nowhere")
    assert finished.returncode == 4
    assert "nowhere" in finished.stderr and "Traceback" not in finished.stderr


def test_one_broken_stub_is_one_failed_task(run, checkout):
    (checkout / "exercises" / TASK.path).write_text("import torch\nraise RuntimeError('no')\n", encoding="utf-8")
    finished = run("-m", "pytest", "-q", "-k", "t029 or t001", cwd=checkout)
    assert "1 error" in finished.stdout and "todo" in finished.stdout
    assert finished.stdout.count("匯入時拋出 RuntimeError: no") == 2  # the failure, and the summary


@pytest.mark.parametrize(
    "deed, told",
    [
        ("torch.set_grad_enabled(False)", "全域設定 torch.is_grad_enabled() 由 True 變成 False"),
        ("os.chdir('/')", "全域設定 os.getcwd()"),
        ("torch.sigmoid(torch.zeros(2))", "torch.sigmoid"),
    ],
)
def test_a_graders_fixture_watches_the_answer(run, checkout, deed, told):
    grader = """
import pytest
from torch_kata.checks import forbid, torch

pytestmark = forbid("torch.sigmoid")

@pytest.fixture(scope="module")
def made(submission):
    return submission.FocalLoss()

def test_made(made):
    "made"

def test_innocent():
    "innocent"
    assert torch.is_grad_enabled()
"""
    (checkout / GRADER).write_text(grader, encoding="utf-8")
    answer = f"import os\nimport torch\nclass FocalLoss:\n    def __init__(self):\n        {deed}\n"
    (checkout / "exercises" / TASK.path).write_text(answer, encoding="utf-8")
    finished = run("-m", "pytest", "-q", "-k", "t029", cwd=checkout)
    assert told in finished.stdout and "1 passed" in finished.stdout


def test_only_benchmarks(run):
    finished = run("-m", "pytest", "--benchmark-only", "-k", "t029", "--target", "solutions")
    assert finished.returncode == 0, finished.stdout
    assert "1 passed" in finished.stdout and "test_speed" in finished.stdout and "Rounds" in finished.stdout


def test_the_same_seed_gives_the_same_failure(run, checkout):
    wrong = (checkout / "solutions" / TASK.path).read_text("utf-8").replace("self.gamma * F", "0.9 * self.gamma * F")
    (checkout / "exercises" / TASK.path).write_text(wrong, encoding="utf-8")
    first, second, third = (
        re.findall(
            r"得到 \S+", run("-m", "pytest", "-q", "-k", "t029", "-m", "numeric", "--seed", seed, cwd=checkout).stdout
        )
        for seed in ("7", "7", "8")
    )
    assert first and first == second != third


def test_what_pickle_notes_in_a_class_is_no_meddling():
    code = (
        "import io, torch\n"
        "from torch_kata import integrity\n"
        "broken = integrity.seal()\n"
        "torch.save(torch.nn.Linear(2, 2), io.BytesIO())\n"
        "assert broken(True) == '', broken(True)\n"
        "assert '__new__' in vars(torch.nn.Parameter)\n"
        "torch.nn.Parameter.__eq__ = lambda self, other: True\n"
        "assert 'Parameter.__eq__' in broken(True)\n"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
