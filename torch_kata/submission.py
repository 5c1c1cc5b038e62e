"""How an answer's file becomes a module: under its own name, after everything the checks rely on is in place."""

from __future__ import annotations

import importlib.util
import linecache
import sys
from pathlib import Path
from types import ModuleType

from torch_kata.checks import learner


class SubmissionError(Exception):
    """The answer's file cannot be graded: it is missing, has a syntax error, or raises while it is imported."""


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
        raise SubmissionError(f"找不到檔案 {path}")
    learner.FILES.clear()
    learner.FILES.add(str(path))
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        return _execute(path, path.stem)
    except SyntaxError as error:
        if error.filename != str(path):
            raise SubmissionError(f"匯入時拋出 SyntaxError: {error}") from error
        line = (error.text or "").strip()
        raise SubmissionError(f"第 {error.lineno} 行有語法錯誤（{error.msg}）：{line}") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise SubmissionError(f"匯入時拋出 {type(error).__name__}: {error}") from error
    except BaseException as error:
        name = type(error).__name__
        if isinstance(error, KeyboardInterrupt):
            raise
        if isinstance(error, NotImplementedError) and str(error).startswith("TODO"):
            raise
        detail = f": {error}" if str(error) else ""
        raise SubmissionError(f"匯入時拋出 {name}{detail}") from error


def _execute(path: Path, name: str) -> ModuleType:
    linecache.checkcache(str(path))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        # Compiled from the text, never from a cached .pyc: an editor may save twice within the clock's resolution.
        exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module
