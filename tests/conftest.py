"""A copy of the checkout to work in, and kata and pytest as programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torch_kata.catalog import ROOT, Catalog
from torch_kata.originals import original

IGNORED = (".git", ".venv", ".nox*", ".kata", "__pycache__", "*.egg-info", ".pytest_cache", ".benchmarks")


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout whose stubs are untouched."""
    root = tmp_path_factory.mktemp("pristine") / "checkout"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*IGNORED))
    for task in Catalog(root).tasks:
        task.stub.write_text(original(task), encoding="utf-8")
    return root


@pytest.fixture
def checkout(pristine: Path, tmp_path: Path) -> Path:
    """A fresh copy of the checkout, for tests that change files."""
    return Path(shutil.copytree(pristine, tmp_path / "checkout"))


@pytest.fixture
def run(pristine: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """run("grade", "29", cwd=..., home=..., env={...}): kata as a program; run("-m", "pytest", ...): a module."""

    def call(*arguments: str, cwd: Path = pristine, env: dict[str, str] | None = None, **options: object):
        module = [] if arguments[:1] == ("-m",) else ["-m", "torch_kata.cli"]
        environment = {**os.environ, "PYTHONPATH": str(cwd), "PYTHONIOENCODING": "utf-8", **(env or {})}
        for name in ("BUILD_NUMBER", "CI", "COLUMNS", "PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST"):
            environment.pop(name, None)
        return subprocess.run(
            [sys.executable, *module, *arguments],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            encoding=options.pop("encoding", "utf-8"),
            timeout=900,
            **options,
        )

    return call


@pytest.fixture
def home(tmp_path):
    return {"KATA_HOME": str(tmp_path / "home")}
