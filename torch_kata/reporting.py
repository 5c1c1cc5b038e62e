"""`kata report`: the figures as a page, as JSON, and the main chart as a picture."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from torch_kata import workspace
from torch_kata.catalog import Catalog
from torch_kata.errors import UsageError
from torch_kata.verdict import CATEGORIES

if TYPE_CHECKING:
    from torch_kata.report import Report


def report(
    out: Annotated[
        Path | None, typer.Option("--out", metavar="檔案", help="頁面存到哪裡（預設 .kata/report.html）")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="在 stdout 印出一份 JSON，不寫頁面")] = False,
    png: Annotated[Path | None, typer.Option("--png", metavar="檔案", help="各章的圖另存成 PNG")] = None,
) -> None:
    """準備好面試了嗎：一頁 HTML，含各章、各種能力、時間與最常錯的檢查。"""
    from torch_kata.report import compile_report

    path = (out or workspace.home() / "report.html").absolute()
    figures = compile_report(workspace.progress(), Catalog(), beside=path.parent)
    if png:
        _written(png.absolute(), lambda target: draw(figures, target))
    if as_json:
        ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
        print(json.dumps(figures.document(), ensure_ascii=ascii_only, indent=1))
        return
    _written(path, lambda target: target.write_text(page(figures), encoding="utf-8"))
    print(f"整體準備好 {percent(figures.readiness)}；頁面在 {path}")


def _written(path: Path, write) -> None:  # noqa: ANN001 - a function of the path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise UsageError(f"寫不進 {path}（{error.strerror}）；用 --out 或 --png 指定別的地方") from error


def page(figures: Report) -> str:
    """The whole page; everything from the record is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("torch_kata"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals["percent"] = percent
    counts = [count for _, count in figures.calendar]
    return environment.get_template("report.html").render(
        report=figures,
        titles=CATEGORIES,
        weeks=len(counts) // 7,
        recent=sum(counts),
        busiest=max(*counts, 1),
        longest=max([1.0, *(max(spent.minutes, spent.expected) for spent in figures.times)]),
    )


def percent(share: float) -> str:
    """Rounded down: 99.9% is not all."""
    return f"{int(100 * share + 1e-9)}%"


def draw(figures: Report, path: Path) -> None:
    """Readiness by chapter. Its words are English: Chinese needs a font of its own."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = [f"chapter {number}" for number in range(1, len(figures.chapters) + 1)]
    figure, axes = plt.subplots(figsize=(7, 0.6 * len(names) + 1.2), layout="constrained")
    values = [100 * chapter.readiness for chapter in figures.chapters]
    drawn = axes.barh(names, values, color="#0a5cc2")
    labels = [f"{percent(c.readiness)}  {c.done}/{c.total} passed" for c in figures.chapters]
    axes.bar_label(drawn, labels, padding=4)
    axes.set_xlim(0, 125)
    axes.set_xticks(range(0, 101, 25))
    axes.set_xlabel("readiness in percent")
    axes.invert_yaxis()
    axes.set_title(f"torch-kata: ready {percent(figures.readiness)} ({figures.made})")
    figure.savefig(path, dpi=120)
    plt.close(figure)
