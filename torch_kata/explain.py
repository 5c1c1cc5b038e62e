"""From what a check raised to what a learner reads: the reason in one line, the traceback from their own code on."""

from __future__ import annotations

import traceback
import unittest
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

import pytest

from torch_kata.catalog import ROOT
from torch_kata.checks import learner
from torch_kata.checks.record import CheckFailed, NotRunHere, text_evidence
from torch_kata.submission import SubmissionError, said, timed_out

LONGEST = 1200


class Overtime(CheckFailed):
    """A check went on after its time limit, since the learner's code caught what should have ended it."""


def is_todo(error: BaseException) -> bool:
    """Whether the stub itself raised: the learner has not come to this part yet."""
    return isinstance(error, NotImplementedError) and said(error).startswith("TODO")


def is_timeout(error: BaseException) -> bool:
    """Whether pytest-timeout ended the check, or would have if it had been let."""
    return isinstance(error, Overtime) or timed_out(error) is not None


def is_raised_by_learner(error: BaseException) -> bool:
    """Whether the learner's code is where the exception comes from, or what it came through."""
    return bool(_own_frames(error.__traceback__))


def reason(error: BaseException, submission: ModuleType | None) -> str:
    """Why the check failed, in one line of Chinese."""
    text = " ".join(said(error).split())
    kind = type(error).__name__
    if isinstance(error, CheckFailed | SubmissionError):
        message = said(error)
    elif is_todo(error):
        message = f"尚未作答（{text}）"
    elif isinstance(error, AttributeError) and submission is not None and error.obj is submission:
        message = f"檔案裡沒有 {error.name}：請照題目的介面命名"
    elif isinstance(error, NotRunHere):
        message = "你的程式拋出 NotRunHere：評分不會因此略過"
    elif kind == "BdbQuit" or (isinstance(error, pytest.exit.Exception) and "Quitting debugger" in text):
        message = "程式裡留著 breakpoint() 或 pdb.set_trace()：自動評分時無法除錯，要除錯請用 pytest --pdb"
    elif isinstance(error, pytest.skip.Exception | pytest.xfail.Exception | pytest.exit.Exception | unittest.SkipTest):
        message = f"你的程式呼叫了 pytest.{_outcome(error)}：評分不會因此略過"
    elif isinstance(error, OSError) and text.startswith("pytest: reading from stdin"):
        message = "你的程式在等鍵盤輸入（input()？）：評分時沒有人會輸入"
    elif isinstance(error, SystemExit):
        message = f"你的程式呼叫了 sys.exit({text})：函式不該結束整個程式"
    elif isinstance(error, MemoryError) or "can't allocate memory" in text or "out of memory" in text:
        message = f"記憶體不足（{text[:160] or kind}）：這個檢查用不了這麼多"
    elif is_timeout(error):
        message = f"超過 {timed_out(error):g} 秒還沒完成"
    elif isinstance(error, AssertionError) and not _own_frames(error.__traceback__):
        message = text or "檢查的條件不成立"
    elif isinstance(error, pytest.fail.Exception):
        message = f"你的程式呼叫了 pytest.fail：{text}" if is_raised_by_learner(error) else text
    else:
        where = "你的程式" if _own_frames(error.__traceback__) else "呼叫你的程式時"
        message = f"{where}拋出 {kind}: {text}" if text else f"{where}拋出 {kind}"
    return message[:LONGEST]


def evidence(error: BaseException, message: str) -> Any:
    """What a replay of the known mistakes is compared with."""
    found = error.evidence if isinstance(error, CheckFailed) else None
    return text_evidence(message) if found is None else found


def trace(error: BaseException) -> str:
    """The traceback from the learner's first frame on; empty if none of their code is in it."""
    chain = error.__cause__ if isinstance(error, SubmissionError) and error.__cause__ else error
    frames = _own_frames(chain.__traceback__)
    if not frames or isinstance(chain, SyntaxError):
        return ""
    lines = []
    for frame in frames[:12]:
        path = Path(frame.filename)
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        lines.append(f"{shown}:{frame.lineno} {frame.name}\n    {frame.line or ''}")
    return "\n".join(lines)


def _own_frames(tb: TracebackType | None) -> list[traceback.FrameSummary]:
    frames = traceback.extract_tb(tb)
    first = next((i for i, frame in enumerate(frames) if frame.filename in learner.FILES), None)
    if first is None:
        return []
    engine = str(ROOT / "torch_kata")
    return [frame for frame in frames[first:] if not frame.filename.startswith((engine, "<string>"))]


def _outcome(error: BaseException) -> str:
    return {"Skipped": "skip", "XFailed": "xfail", "Exit": "exit"}.get(type(error).__name__, "skip")
