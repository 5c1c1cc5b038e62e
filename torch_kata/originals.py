"""The stubs as they were handed out: copies under fixtures/stubs/, so that a reset needs neither git nor its history.

`python -m torch_kata.originals` copies exercises/ there again; whoever edits a stub runs it.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from torch_kata.catalog import Catalog, Task


def path_of(task: Task) -> Path:
    return task.root / "fixtures" / "stubs" / task.path


def original(task: Task) -> str:
    """The text of the task's stub as it was handed out."""
    return path_of(task).read_text(encoding="utf-8")


def drifted(task: Task) -> bool:
    """Whether a stub nobody has begun to solve differs from its copy."""
    stub = task.stub.read_text(encoding="utf-8")
    marker = f'NotImplementedError("TODO {task.id:03d}")'
    if not path_of(task).exists():
        return True
    return stub != original(task) and stub.count(marker) >= original(task).count(marker)


def main() -> None:
    argparse.ArgumentParser("python -m torch_kata.originals", description=__doc__.splitlines()[0]).parse_args()
    for task in Catalog().tasks:
        if not task.stub.exists():
            continue
        path_of(task).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(task.stub, path_of(task))


if __name__ == "__main__":
    main()
