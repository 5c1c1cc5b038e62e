"""The tasks: where their files lie, what chapter.toml says of them, and how a selection is read."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch_kata.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("exercises", "solutions")
STATES = ("todo", "failed", "passed")


@dataclass(frozen=True)
class Task:
    """One exercise. `seconds` and `memory_mb` limit a run of its grader, `check_seconds` one check."""

    id: int
    slug: str
    chapter: str
    title: str
    level: int
    minutes: int
    tags: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    seconds: float = 30.0
    check_seconds: float = 10.0
    memory_mb: int = 4096
    fresh: bool = False
    root: Path = field(default=ROOT, compare=False)

    @property
    def stem(self) -> str:
        return f"t{self.id:03d}_{self.slug}"

    @property
    def path(self) -> Path:
        """Where the answer lies under a target folder."""
        return Path(self.chapter, self.stem + ".py")

    @property
    def stub(self) -> Path:
        return self.root / "exercises" / self.path

    @property
    def solution(self) -> Path:
        return self.root / "solutions" / self.path

    @property
    def grader(self) -> Path:
        return self.root / "graders" / self.chapter / f"test_{self.stem}.py"

    @property
    def mistakes(self) -> Path:
        return self.root / "graders" / self.chapter / f"{self.stem}.mistakes.toml"


@dataclass(frozen=True)
class Chapter:
    name: str
    title: str
    tasks: tuple[Task, ...]


def read_chapter(path: Path, root: Path) -> Chapter:
    """The chapter described by one chapter.toml."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        name = path.parent.name
        tasks = tuple(
            Task(
                **{key: tuple(value) if isinstance(value, list) else value for key, value in block.items()},
                chapter=name,
                root=root,
            )
            for block in document["task"]
        )
        return Chapter(name, document["title"], tuple(sorted(tasks, key=lambda task: task.id)))
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"{path} 讀不懂（{error}）；請對照其他章的 chapter.toml 改正") from error


class Catalog:
    """Every task of a checkout, by chapter."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    @cached_property
    def chapters(self) -> list[Chapter]:
        paths = sorted((self.root / "exercises").glob("*/chapter.toml"))
        if not paths:
            raise UsageError(f"{self.root / 'exercises'} 裡沒有任何 chapter.toml；請在完整的 torch-kata 目錄中執行")
        return [read_chapter(path, self.root) for path in paths]

    @cached_property
    def tasks(self) -> list[Task]:
        return sorted((task for chapter in self.chapters for task in chapter.tasks), key=lambda task: task.id)

    def chapter_of(self, task: Task) -> Chapter:
        return next(chapter for chapter in self.chapters if chapter.name == task.chapter)

    def of_path(self, path: Path) -> tuple[Task, Path] | None:
        """The task an answer file belongs to, and the target folder it lies in; None for any other file."""
        path = path.resolve()
        for task in self.tasks:
            if path.name == task.path.name and path.parent.name == task.chapter:
                return task, path.parent.parent
        return None

    def of_grader(self, path: Path) -> Task | None:
        """The task that a grader's file belongs to; None for any other file."""
        return self._graders.get(path)

    @cached_property
    def _graders(self) -> dict[Path, Task]:
        return {task.grader: task for task in self.tasks}

    def select(self, words: Iterable[str], states: Mapping[int, str] | None = None) -> list[Task]:
        """The tasks named by `29`, `3-7`, `ch3`, `focal_loss`, `todo`, `failed`, `all`, in order of their number.

        `states` maps a task's number to its state; a task it does not name is todo.
        Raises UsageError for a word that names nothing and for a selection that is empty.
        """
        words = [word for text in words for word in re.split(r"[,\s]+", text) if word]
        chosen = {task.id for word in words for task in self._named(word, states or {})}
        if not chosen:
            raise UsageError(f"選到的題目是空的：{' '.join(words) or '（沒有給題目）'}；`kata list` 列出所有題目")
        return [task for task in self.tasks if task.id in chosen]

    def _named(self, word: str, states: Mapping[int, str]) -> list[Task]:
        if word == "all":
            return self.tasks
        if word in STATES:
            return [task for task in self.tasks if states.get(task.id, "todo") == word]
        if match := re.fullmatch(r"t?(\d{1,4})(?:-t?(\d{1,4}))?", word):
            first, last = int(match[1]), int(match[2] or match[1])
            if found := [task for task in self.tasks if first <= task.id <= last]:
                return found
        elif match := re.fullmatch(r"ch(\d+)(_\w+)?", word):
            if found := [task for task in self.tasks if task.chapter.startswith(f"ch{match[1]}_")]:
                return found
        else:
            name = Path(word).name.removesuffix(".py").removeprefix("test_")
            if found := [task for task in self.tasks if name in (task.slug, task.stem)]:
                return found
        raise UsageError(f"沒有「{word}」這一題{self._suggestion(word)}；`kata list` 列出所有題目")

    def _suggestion(self, word: str) -> str:
        names = [task.slug for task in self.tasks] + ["all", *STATES] + [c.name.split("_")[0] for c in self.chapters]
        near = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
        if not near and word.isdigit():
            number = int(word)
            near = [str(min((task.id for task in self.tasks), key=lambda known: abs(known - number)))]
        return f"，你是不是要找 {'、'.join(near)}？" if near else ""


def resolve_target(target: str, root: Path = ROOT) -> Path:
    """The folder that `--target` names: exercises, solutions, or any folder with files under the same paths."""
    folder = root / target if target in TARGETS else Path(target).expanduser().resolve()
    if not folder.is_dir():
        raise UsageError(f"--target 的資料夾不存在：{target}；可用 exercises、solutions，或任何結構相同的資料夾")
    return folder
