"""The README's list of tasks: by chapter, with level and minutes.

`python -m torch_kata.contents` writes it there again; whoever adds a task or edits a chapter.toml runs it.
"""

from __future__ import annotations

from torch_kata.catalog import ROOT, Catalog, Chapter, Task

README = ROOT / "README.md"
START, END = "<!-- tasks -->", "<!-- /tasks -->"


def contents(catalog: Catalog) -> str:
    """All chapters as Markdown, each folded up under its title."""
    return "\n".join(map(_folded, catalog.chapters))


def refreshed(readme: str, catalog: Catalog) -> str:
    """The README with the present list of tasks between its two marks."""
    before, _, rest = readme.partition(START)
    return f"{before}{START}\n{contents(catalog)}\n{END}{rest.partition(END)[2]}"


def _folded(chapter: Chapter) -> str:
    number, hours = chapter.name.partition("_")[0], sum(task.minutes for task in chapter.tasks) / 60
    title = f"<code>{number}</code> {chapter.title}：{len(chapter.tasks)} 題，約 {hours:.0f} 小時"
    rows = "\n".join(map(_row, chapter.tasks))
    return f"""\
<details><summary>{title}</summary>

| | 題目 | 難度 | 分鐘 |
| --- | --- | --- | --- |
{rows}

</details>"""


def _row(task: Task) -> str:
    return f"| {task.id} | [{task.title}](exercises/{task.path.as_posix()}) | {task.level} | {task.minutes} |"


def main() -> None:
    README.write_text(refreshed(README.read_text(encoding="utf-8"), Catalog()), encoding="utf-8")


if __name__ == "__main__":
    main()
