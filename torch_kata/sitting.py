"""One sitting of a mock interview: what is shown, done and kept from its start or resumption until it stops."""

from __future__ import annotations

import queue
import sys
from collections import deque
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from rich.text import Text

from torch_kata import bank, interview_record, practice, render, review
from torch_kata.catalog import Catalog, Task
from torch_kata.errors import UsageError
from torch_kata.interview import GIVEN_UP, PASSED, TIME_UP, WAITING, WORKING, Clock, Interview, Part, reminder
from torch_kata.meanwhile import SAVED, TYPED, Meanwhile
from torch_kata.originals import original
from torch_kata.progress import Progress
from torch_kata.runner.pool import Pool
from torch_kata.verdict import Verdict

KEYS = "Enter 評分　n 放棄這題　t 剩多少時間　q 停下來"
ROUND = 1.0  # seconds after which the time is looked at, whatever happens or not
SAVE_EVERY = 4.0  # with one more round, what a kill takes stays below five


class Stopped(Exception):
    """The learner wants to stop, or nobody is there to type."""


class Sitting:
    """Conducts an interview from where it is. All but waiting for events happens in one thread."""

    def __init__(self, interview: Interview, catalog: Catalog, progress: Progress, pool: Pool) -> None:
        self.interview, self.catalog, self.progress = interview, catalog, progress
        self.console, self.clock, self.unsaved = render.console(), Clock(), 0.0
        self.folder = interview_record.folder(progress, interview)
        self.tasks = {task.id: task for task in catalog.tasks}
        self.questions = {question.id: question for question in bank.questions()}
        self.meanwhile = Meanwhile(self.folder, pool)
        self.watched = sys.stdin.isatty()  # what comes through a pipe says itself when to grade
        self.lines: deque[str | None] = deque()
        self.changed = self.grading = False
        self.verdict: Verdict | None = None
        self.source: str | None = None

    def hold(self) -> bool:
        """Whether the interview has come to its end; if not, it was stopped."""
        self.meanwhile.listen()
        self._greet()
        try:
            while part := self.interview.current:
                if part.status in (WAITING, WORKING):
                    self._work(part)
                self._ask(part)
        except (Stopped, KeyboardInterrupt):
            self.interview.owner = None
            self._keep()
            self._say(f"\n停在這裡，還剩 {_time(self.interview.left)}；停著的時候不計時。", "bold")
            self._say("繼續：kata interview --resume　放棄：kata interview --abandon")
            return False
        return True

    # ── a task ──

    def _work(self, part: Part) -> None:
        task = self.tasks[part.task]
        if part.status == WAITING:
            part.status = WORKING
            self._recorded(lambda: self.progress.record_event(task.id, "reset"))  # a pass is rated from here on
            self._keep()
        with self.meanwhile.watching(task) if self.watched else nullcontext():
            self._show(part, task)
            self.clock.take()
            self.changed = False
            while part.status == WORKING:
                self._wait()
                self._count(part)
                self._go_on(part, task)
        self._keep()

    def _go_on(self, part: Part, task: Task) -> None:
        """Does what is next: what was saved before the time was up is still graded, what was typed waits for it."""
        if self.verdict:
            self._take(part, task)
        elif self.grading:
            return
        elif self.changed:
            self._grade(task)
        elif self.interview.left <= 0:
            part.status = TIME_UP
            self._say("時間到。以最後一次評分為準。", "bold")
        elif self.lines:
            self._obey(self.lines.popleft(), part, task)

    def _obey(self, line: str | None, part: Part, task: Task) -> None:
        key = "q" if line is None else line.strip().lower()
        if key == "q":
            raise Stopped
        elif key == "":
            self._grade(task)
        elif key == "t":
            self._remind()
        elif key == "n":
            part.status = GIVEN_UP
            self._say("放棄這一題。以最後一次評分為準。", "bold")
        else:
            self._say(f"看不懂「{key}」。{KEYS}")

    def _grade(self, task: Task) -> None:
        self.changed, self.grading, self.source = False, True, _content(self.folder / task.path)
        self._say("評分中…", "dim")
        self.meanwhile.grade(task)

    def _take(self, part: Part, task: Task) -> None:
        """A verdict has come: shows it, records it, and counts it."""
        verdict, self.verdict, self.grading = self.verdict, None, False
        if _content(self.folder / task.path) != self.source:  # some checks saw the old text and some the new
            self.changed = True
            return
        self.console.print(render.full(verdict, task, commands=False))
        self._recorded(lambda: self.progress.record(verdict, source=self.source))
        if verdict.status == "passed":
            self._recorded(lambda: review.rate_pass(self.progress, task.id))
        part.graded(verdict)
        self._keep()
        if part.status == PASSED:
            self._say(f"用了 {_time(part.seconds)}，預期 {part.minutes} 分鐘。", "green")
        elif self.interview.left > 0:
            self._remind()

    # ── its questions ──

    def _ask(self, part: Part) -> None:
        if self.watched:  # what was typed while grading was no answer; that nobody types any more stays true
            self.lines = deque(line for line in self.lines if line is None)
        asked = [key for key in part.questions if key in self.questions and key not in part.ticked]
        if asked and part.status == TIME_UP and self._read(f"還有 {len(asked)} 個問題。y 回答，Enter 跳過：") != "y":
            asked = []
        if asked:
            self._say(f"\n接下來 {len(asked)} 個問題，不計時；q 停下來。", "bold")
        for key in asked:
            self.console.print()
            self._answered(part, key, practice.put(self.questions[key], self.catalog, self._read))
        part.asked = True
        self._keep()

    def _answered(self, part: Part, key: str, ticked: set[int]) -> None:
        self._recorded(lambda: review.record_answer(self.progress, key, ticked, part.questions[key]))
        part.ticked[key] = len(ticked)
        self._keep()

    def _read(self, prompt: str) -> str:
        """Like input(), of the lines that are listened to anyway."""
        self.console.print(prompt, end="")
        while not self.lines:
            self._wait()
        line = self.lines.popleft()
        if line is None or line.strip().lower() == "q":
            raise Stopped
        return line.strip()

    # ── what happens meanwhile ──

    def _wait(self) -> None:
        """Takes in one event; waits for it a moment, unless there is something to do."""
        busy = (self.lines or self.changed) and not self.grading
        try:
            kind, value = self.meanwhile.next(0 if busy else ROUND)
        except queue.Empty:
            return
        if kind == TYPED:
            self.lines.append(value)
        elif kind == SAVED:
            self.changed = self.changed or (value == self.interview.current.task and self.interview.left > 0)
        else:
            self.verdict = value

    def _count(self, part: Part) -> None:
        """Counts the time since the last round."""
        before, spent = self.interview.left, self.clock.take()
        part.seconds += spent
        self.unsaved += spent
        if reminder(self.interview.minutes, before, self.interview.left) is not None:
            self._remind()
        if self.unsaved >= SAVE_EVERY:
            self._keep()

    def _keep(self) -> None:
        self._recorded(lambda: interview_record.save(self.progress, self.interview))
        self.unsaved = 0.0

    def _recorded(self, action: Callable[[], object]) -> None:
        """Goes on where the record cannot be written: the next moment may do, and the answers are files."""
        try:
            action()
        except UsageError as error:
            print(f"kata: {error}", file=sys.stderr)

    # ── what is shown ──

    def _greet(self) -> None:
        interview = self.interview
        again = "繼續" if any(part.status != WAITING for part in interview.parts) else "開始"
        self._say(f"模擬面試 {interview.number} {again}：{len(interview.parts)} 題，{interview.minutes} 分鐘", "bold")
        how = "存檔就評分。" if self.watched else "按 Enter 評分。"
        self._say(f"寫在這場面試自己的資料夾裡，exercises/ 不會動；結束之前沒有提示與解答。{how}")
        self._say(f"seed {interview.seed}；紀錄相同時，同一個 --seed 抽到同一組。", "dim")

    def _show(self, part: Part, task: Task) -> None:
        self.console.print()
        self.console.rule(
            f"第 {self.interview.parts.index(part) + 1} 題　共 {len(self.interview.parts)} 題", style="dim"
        )
        self._say(original(task).split('"""')[1].strip())
        self._say(f"\n難度 {task.level}/5，預期 {part.minutes} 分鐘", "dim")
        self._say(f"檔案 {self.folder / task.path}", "bold")
        self._remind()

    def _remind(self) -> None:
        self._say(f"還剩 {_time(self.interview.left)}　{KEYS}", "cyan")

    def _say(self, text: str, style: str = "") -> None:
        self.console.print(Text(text, style=style), soft_wrap=True)


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None


def _time(seconds: float) -> str:
    seconds = max(0, round(seconds))
    return f"{seconds // 60}:{seconds % 60:02d}"
