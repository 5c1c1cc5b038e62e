"""Where the small real data of fixtures/ lie."""

from __future__ import annotations

from pathlib import Path

from torch_kata.checks.record import NotRunHere

FOLDER = Path(__file__).resolve().parents[2] / "fixtures"


def fixture(name: str = "") -> Path:
    """The path of a file or folder in fixtures/, to be read only; without a name, of fixtures/ itself."""
    path = FOLDER / name
    if not path.exists():
        raise NotRunHere(f"缺少資料 fixtures/{name}；執行 python fixtures/build.py 重新產生")
    return path
