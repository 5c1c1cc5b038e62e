"""The question bank: what interviewers ask, what they listen for, and how a topic is read."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from torch_kata.catalog import Catalog
from torch_kata.errors import UsageError

FOLDER = Path(__file__).parent / "questions"
GROUPS = {
    "basics": "PyTorch 與 CNN 基礎",
    "model_building": "建立與訓練模型",
    "experience": "談你的專案",
    "applied_ai": "AI 應用與邊緣部署",
}


@dataclass(frozen=True)
class Question:
    """One question. `points` are what an interviewer listens for; of one's own experience, `frame` what to bring."""

    id: str
    group: str
    title: str
    tasks: tuple[int, ...]
    level: int
    points: tuple[str, ...] = ()
    frame: tuple[str, ...] = ()
    pitfalls: tuple[str, ...] = ()
    dated: str = ""
    sources: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"question:{self.id}"

    @property
    def asked_for(self) -> tuple[str, ...]:
        """What an answer can be ticked against: the points, or the frame."""
        return self.points or self.frame


@cache
def questions() -> tuple[Question, ...]:
    """All questions, by group, in their order."""
    found = []
    for group in GROUPS:
        blocks = tomllib.loads((FOLDER / f"{group}.toml").read_text(encoding="utf-8"))["question"]
        found += [Question(group=group, **{k: _frozen(value) for k, value in block.items()}) for block in blocks]
    return tuple(found)


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def about(topics: Collection[str], catalog: Catalog) -> list[Question]:
    """The questions of these topics: groups, ids, words of a title, or selections of tasks that they touch.

    Raises UsageError for a topic that none is about.
    """
    if not topics:
        return list(questions())
    chosen: dict[str, Question] = {}
    for topic in topics:
        found = [q for q in questions() if topic in (q.group, q.id)] or _touching(topic, catalog)
        found = found or [q for q in questions() if topic.lower() in q.title.lower()]
        if not found:
            raise UsageError(f"沒有關於「{topic}」的問題；可寫 {'、'.join(GROUPS)}、題號、章（ch3），或題目裡的字")
        chosen |= {question.id: question for question in found}
    return list(chosen.values())


def _touching(topic: str, catalog: Catalog) -> list[Question]:
    try:
        ids = {task.id for task in catalog.select([topic])}
    except UsageError:
        return []
    return [question for question in questions() if ids & set(question.tasks)]


def count_of_task(task_id: int) -> int:
    """How many questions touch a task, without reading the files as TOML, which takes longer than `kata show` may."""
    lines = "".join((FOLDER / f"{group}.toml").read_text(encoding="utf-8") for group in GROUPS).splitlines()
    listed = (line.removeprefix("tasks = [").rstrip("]") for line in lines if line.startswith("tasks = ["))
    return sum(str(task_id) in numbers.replace(" ", "").split(",") for numbers in listed)


def of_task(task_id: int) -> list[Question]:
    """The questions that touch a task."""
    return [question for question in questions() if task_id in question.tasks]
