"""The content: every task is complete, and nothing stands beside the tasks."""

import ast

import pytest

from torch_kata.catalog import ROOT, Catalog
from torch_kata.contents import README, refreshed
from torch_kata.originals import drifted

TASKS = Catalog().tasks


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.stem)
def test_a_task_has_all_its_files(task):
    for path in (task.stub, task.solution, task.grader, task.mistakes):
        assert path.is_file(), path
    assert list((ROOT / "tests" / "alternatives").glob(f"*/{task.path}")), "no alternative answer"
    assert not drifted(task), "run python -m torch_kata.originals"


def test_the_readme_lists_all_tasks():
    readme = README.read_text(encoding="utf-8")
    assert refreshed(readme, Catalog()) == readme, "run python -m torch_kata.contents"


def test_no_file_is_without_a_task():
    known = {path for task in TASKS for path in (task.stub, task.solution, task.grader, task.mistakes)}
    found = {
        path
        for folder in ("exercises", "solutions", "graders")
        for path in (ROOT / folder).rglob("*t[0-9][0-9][0-9]_*")
    }
    assert {path for path in found if path.suffix in (".py", ".toml")} == known


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.stem)
def test_a_grader_knows_only_the_vocabulary(task):
    tree = ast.parse(task.grader.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in imported if name.startswith("torch_kata") and name != "torch_kata.checks"}
    top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    top |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in top} & {"torch", "numpy", "torchvision", "scipy"}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.stem)
def test_every_check_has_one_category_and_a_label(task):
    tree = ast.parse(task.grader.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            marks = [ast.unparse(d) for d in node.decorator_list]
            categories = [
                m
                for m in marks
                if m.removeprefix("pytest.mark.") in ("shape", "gradient", "numeric", "behaviour", "speed")
            ]
            assert len(categories) == 1, node.name
            assert ast.get_docstring(node), node.name
