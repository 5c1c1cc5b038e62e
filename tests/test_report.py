"""The report: its figures, and the page as a real browser shows it."""

import html
import json
import random
import re
import shutil
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from torch_kata import bank, reporting, review
from torch_kata.catalog import Catalog
from torch_kata.progress import Progress
from torch_kata.report import compile_report, readiness
from torch_kata.verdict import Check, Verdict

NOW = datetime(2026, 6, 3, 9, tzinfo=UTC)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CATALOG = Catalog()
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]


def verdict(status, task=CATALOG.tasks[0]):
    outcome = {"passed": "passed"}.get(status, "failed")
    checks = [Check("test_shape", "shape", "形狀", "passed"), Check("test_speed", "speed", "速度", outcome)]
    return Verdict(task.id, task.slug, task.chapter, status, 0.5, 7, "cpu", checks=checks)


def fill(progress, attempts):
    """A year of practice, in one transaction: every task tried, most of them passed, questions answered."""
    rng = random.Random(5)
    checks = json.dumps(
        [
            {"name": f"test_{n}[{n}]", "category": c, "outcome": "failed" if n == 3 else "passed", "ratio": None}
            for n, c in enumerate(["shape", "gradient", "numeric", "behaviour", "speed"] * 3)
        ]
    )
    times = sorted(NOW - timedelta(minutes=rng.randrange(365 * 24 * 60)) for _ in range(attempts))
    progress.record(verdict("failed"))
    with progress.writing() as connection:
        connection.execute("DELETE FROM attempts")
        for at in times:
            task = rng.choice(CATALOG.tasks)
            status = rng.choice(["passed", "failed", "failed"])
            row = (task.id, at.isoformat(), status, 0.5, "7", "cpu", None, 14, 15, b"", checks.encode(), b"x" * 2000)
            connection.execute(f"INSERT INTO attempts VALUES (NULL{', ?' * len(row)})", row)
    for question in rng.sample(bank.questions(), 60):
        ticked = range(rng.randrange(len(question.asked_for) + 1))
        review.record_answer(progress, question.id, ticked, len(question.asked_for))


@pytest.fixture(scope="module")
def practised(tmp_path_factory):
    progress = Progress(tmp_path_factory.mktemp("practised"))
    fill(progress, 5000)
    return progress


# ── figures ──


def test_nothing_done_is_nothing(tmp_path):
    figures = compile_report(Progress(tmp_path), CATALOG, beside=tmp_path, now=NOW)
    assert figures.readiness == 0 and figures.attempts == 0 and not figures.times and not figures.weakest
    assert all(share.readiness == 0 and share.done == 0 for share in (*figures.chapters, *figures.categories))
    assert sum(share.total for share in figures.chapters) == len(CATALOG.tasks)
    assert figures.categories[-1].total == 102
    assert not list(tmp_path.iterdir())


def test_readiness_fades_and_knows_how_it_was_won(tmp_path):
    progress = Progress(tmp_path)
    for number, rating in enumerate((review.EASY, review.GOOD, review.HARD, review.AGAIN), 1):
        review.rate(progress, f"task:{number}", rating, NOW)
    fresh, later = readiness(progress, NOW), readiness(progress, NOW + timedelta(days=30))
    values = [fresh[f"task:{number}"] for number in range(1, 5)]
    assert values == [1.0, 0.9, 0.6, 0.3]
    assert all(0 < later[key] < fresh[key] for key in fresh)
    progress.record(verdict("failed"))
    assert readiness(progress, NOW)["task:1"] == 0.5


def test_a_question_is_worth_the_points_made(tmp_path):
    progress = Progress(tmp_path)
    review.record_answer(progress, bank.questions()[0].id, [0, 1, 2], 6)
    now = datetime.now(UTC)
    assert readiness(progress, now)[bank.questions()[0].key] == pytest.approx(0.5, abs=1e-3)


def test_what_is_right_in_an_unsolved_task_counts_half_there(tmp_path):
    progress = Progress(tmp_path)
    progress.record(verdict("failed"))
    figures = compile_report(progress, CATALOG, beside=tmp_path, now=NOW)
    shape = next(share for share in figures.categories if share.name == "形狀")
    assert shape.readiness == pytest.approx(0.5 / shape.total, abs=1e-4) and figures.readiness == 0


def test_time_leaves_pauses_out(tmp_path, monkeypatch):
    from torch_kata import progress as record

    moments = iter([0, 4, 10, 300, 312])  # minutes; the break between the third and the fourth counts as 15
    monkeypatch.setattr(record, "now", lambda: (NOW + timedelta(minutes=next(moments))).isoformat())
    progress = Progress(tmp_path)
    progress.record_event(1, "show")
    for status in ("failed", "failed", "failed", "passed"):
        progress.record(verdict(status))
    [spent] = compile_report(progress, CATALOG, beside=tmp_path, now=NOW).times
    assert spent.minutes == 4 + 6 + 15 + 12 and spent.expected == CATALOG.tasks[0].minutes


def test_the_weakest_checks_link_to_their_stub(tmp_path):
    progress = Progress(tmp_path / "home")
    progress.record(verdict("failed"))
    [weak] = compile_report(progress, CATALOG, beside=tmp_path / "home", now=NOW).weakest
    assert (weak.category, weak.failed, weak.attempts) == ("speed", 1, 1)
    assert (tmp_path / "home" / weak.link).resolve() == CATALOG.tasks[0].stub


def test_a_record_of_5000_attempts_takes_less_than_two_seconds(practised, tmp_path):
    started = time.process_time()
    reporting.page(compile_report(practised, CATALOG, beside=tmp_path, now=NOW))
    assert time.process_time() - started < 2


# ── the program ──


def test_the_program_writes_page_json_and_picture(run, practised, tmp_path):
    environment = {"KATA_HOME": str(practised.folder)}
    out, png = tmp_path / "報告 1.html", tmp_path / "chart.png"
    finished = run("report", "--out", str(out), "--png", str(png), env=environment)
    assert finished.returncode == 0, finished.stderr
    assert out.name in finished.stdout and out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert png.read_bytes().startswith(b"\x89PNG")
    document = json.loads(run("report", "--json", env=environment).stdout)
    assert document["schema"] == 1 and 0 < document["readiness"] < 1 and len(document["categories"]) == 6
    assert sum(document["calendar"].values()) <= document["attempts"] == 5000


def test_a_place_that_cannot_be_written(run, tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="utf-8")
    finished = run("report", "--out", str(blocker / "x.html"), env={"KATA_HOME": str(tmp_path / "home")})
    assert finished.returncode == 2 and "--out" in finished.stderr and finished.stderr.count("\n") == 1


# ── the page ──


def test_the_page_needs_nothing_from_outside(practised, tmp_path):
    page = reporting.page(compile_report(practised, CATALOG, beside=tmp_path, now=NOW))
    assert not re.search(r"https?://|url\(|<script|@import|<img|<iframe", page)
    assert "default-src 'none'" in page
    assert page.count("<svg role=") == page.count("aria-label=") == page.count("<details>")  # a table for each chart
    headings = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert headings[0] == 1 and set(headings[1:]) == {2}


def test_what_is_in_the_record_is_escaped(tmp_path):
    progress = Progress(tmp_path)
    progress.rows("SELECT 1")
    with progress.writing() as connection:
        state = json.dumps({"result": {"score": 0.5, "summary": "<b>&</b>"}})
        values = NOW.isoformat(), NOW.isoformat(), state
        connection.execute("INSERT INTO interviews VALUES (NULL, ?, ?, ?)", values)
    page = reporting.page(compile_report(progress, CATALOG, beside=tmp_path, now=NOW))
    assert "&lt;b&gt;&amp;" in page and "<b>" not in page and "50%" in page


def contrast(one, other):
    """The contrast of two #rrggbb colours, as WCAG 2 defines it."""

    def luminance(color):
        parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_the_colours_can_be_told_apart():
    text = (Path(reporting.__file__).parent / "templates" / "report.html").read_text(encoding="utf-8")
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{([^}]*)\}", text)]
    assert len(themes) == 2
    for theme in themes:
        assert contrast(theme["ink"], theme["paper"]) > 7 and contrast(theme["soft"], theme["paper"]) > 4.5
        assert contrast(theme["accent"], theme["paper"]) > 4.5 and contrast(theme["accent"], theme["track"]) > 3


@pytest.mark.skipif(not CHROMIUM, reason="NOT TESTED in a browser: no chromium here (Debian: apt install chromium)")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_in_a_real_browser(practised, tmp_path, theme):
    """At three widths: nothing wider than the window, no console message; the page's own policy forbids any request,
    and Chromium would say so on the console."""
    page = reporting.page(compile_report(practised, CATALOG, beside=tmp_path, now=NOW))
    widths = (320, 768, 1280)
    frames = "".join(
        f'<iframe style="width:{w}px;height:900px;border:0" srcdoc="{html.escape(page)}"></iframe>' for w in widths
    )
    measure = (
        "onload = () => { document.title = JSON.stringify([...document.querySelectorAll('iframe')].map(f => {"
        " const d = f.contentDocument, w = d.documentElement.clientWidth;"
        " const wide = [...d.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > w + 0.5);"
        " return [w, d.documentElement.scrollWidth, wide.length, d.querySelectorAll('svg').length]; })) }"
    )
    outer = tmp_path / "frames.html"
    outer.write_text(f"<!DOCTYPE html><title></title><script>{measure}</script>{frames}", encoding="utf-8")
    dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if theme == "dark" else []
    command = [CHROMIUM, *FLAGS, *dark, f"--user-data-dir={tmp_path / 'profile'}"]
    finished = subprocess.run(
        [*command, "--virtual-time-budget=3000", "--dump-dom", outer.as_uri()],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=180,
    )
    title = re.search(r"<title>(.*?)</title>", finished.stdout)
    assert title and title[1], finished.stderr[-2000:]
    measured = json.loads(html.unescape(title[1]))
    assert [frame[0] for frame in measured] == list(widths)
    assert all(scroll <= width and not wide and charts >= 4 for width, scroll, wide, charts in measured), measured
    assert "CONSOLE" not in finished.stderr
