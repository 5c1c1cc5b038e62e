"""How an answer's file becomes a module: under its own name, after everything the checks rely on is in place."""

from __future__ import annotations

import importlib.util
import linecache
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from torch_kata.checks import learner

TIMEOUT = re.compile(r"Timeout \(>([\d.]+)s\)")


class SubmissionError(Exception):
    """The answer's file cannot be graded: it is missing, has a syntax error, or raises while it is imported."""


def said(error: BaseException) -> str:
    """The message of an exception of the learner's, whose own __str__ may fail."""
    try:
        return str(error).encode("utf-8", "replace").decode()  # half a surrogate pair cannot be printed
    except BaseException as another:
        return f"（它的 __str__ 又拋出 {type(another).__name__}）"


def timed_out(error: BaseException) -> float | None:
    """The seconds after which pytest-timeout ended the check; None for any other exception."""
    match = TIMEOUT.match(said(error)) if isinstance(error, pytest.fail.Exception) else None
    return float(match[1]) if match else None


def load_reference(path: Path) -> ModuleType:
    """The reference solution, kept out of sys.modules so that an answer cannot import it."""
    name = f"reference_{path.stem}"
    try:
        module = _execute(path, name)
    finally:
        sys.modules.pop(name, None)
    learner.REFERENCES.add(str(path))
    return module


def load_submission(path: Path) -> ModuleType:
    """The answer, importable by its own name, so that processes it starts can import it too.

    Raises SubmissionError in one line for a file that cannot be imported.
    """
    if not path.is_file():
        raise SubmissionError(f"{path} 不是檔案" if path.exists() else f"找不到檔案 {path}")
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        return _execute(path, path.stem)
    except SyntaxError as error:
        if error.filename != str(path):
            raise SubmissionError(f"匯入時拋出 SyntaxError: {said(error)}") from error
        line = (error.text or "").strip()
        raise SubmissionError(f"第 {error.lineno} 行有語法錯誤（{error.msg}）：{line}") from error
    except UnicodeDecodeError as error:
        raise SubmissionError(f"檔案不是 UTF-8：{said(error)}") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if timed_out(error) or (isinstance(error, NotImplementedError) and said(error).startswith("TODO")):
            raise
        detail = f": {said(error)}" if said(error) else ""
        raise SubmissionError(f"匯入時拋出 {type(error).__name__}{detail}") from error


def _execute(path: Path, name: str) -> ModuleType:
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Compiled from the text, never from a cached .pyc: an editor may save twice within the clock's resolution.
        text = importlib.util.decode_source(path.read_bytes())
        exec(compile(text, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:
        sys.modules.pop(name, None)
        if isinstance(error, MemoryError):
            vars(module).clear()  # it may hold what filled the memory, and the traceback holds it
        raise
    return module
