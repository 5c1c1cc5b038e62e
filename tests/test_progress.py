"""The record of attempts: what it remembers, and that two writers, a kill or a bad file lose nothing."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime

import psutil
import pytest

from torch_kata import progress as module
from torch_kata import store
from torch_kata.errors import UsageError
from torch_kata.progress import Progress
from torch_kata.verdict import Check, Verdict

SETUP = """
import sys
from pathlib import Path
from torch_kata.progress import Progress
from torch_kata.verdict import Verdict
progress = Progress(Path(sys.argv[1]))
verdict = Verdict(1, "slug", "ch1_x", "failed", 0.1, 7, "cpu")
"""


def verdict(status="passed", *, id=29, seconds=0.5, ratios=(), **more):
    checks = [Check(f"test_{i}", "speed", "快", status, ratio=ratio, trace="長") for i, ratio in enumerate(ratios)]
    return Verdict(id, "focal_loss", "ch3_models", status, seconds, 7, "cpu", checks=checks, **more)


def child(code, folder):
    return subprocess.Popen(
        [sys.executable, "-c", SETUP + code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def integrity(progress):
    with closing(sqlite3.connect(progress.path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall()


def complaint(action, *parts):
    """The one line that `action` is refused with, which has every one of `parts`."""
    with pytest.raises(UsageError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text
    return text


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def progress(tmp_path):
    return Progress(tmp_path / "deep" / ".kata")


@pytest.fixture
def filled(progress):
    for number in range(40):
        progress.record(verdict(id=number), source="x" * 3000)
    return progress


def test_reading_nothing_is_empty_and_creates_nothing(progress, tmp_path):
    assert (progress.summaries(), progress.attempts(), progress.events(1)) == ({}, [], [])
    assert (progress.has_passed(1), progress.hints_shown(1), progress.show_next_hint(1, 0)) == (False, 0, 0)
    progress.record(verdict("todo"))
    progress.record(verdict("not_run"))
    assert list(tmp_path.iterdir()) == []


def test_an_attempt_comes_back_whole(progress):
    failed = Check("test_a[1]", "numeric", "標籤", "failed", 0.01, "最大誤差 0.5\n在 (0, 1)", diagnosis="漏了平均")
    fast = Check("test_fast", "speed", "快", "passed", 0.2, ratio=1.5)
    slow = Check("test_slow", "speed", "慢", "passed", 0.3, ratio=2.5)
    graded = Verdict(3, "s", "ch1", "failed", 0.4, 2**64 - 1, "cuda:0", "訊息 \udcff", [failed, fast, slow])
    source = "def f():\r\n    return '\udc80 中文 \0'\n"
    progress.record(graded, source=source)
    progress.record(verdict("crashed", id=4))

    attempt, crashed = progress.attempts()
    assert abs((datetime.now(UTC) - datetime.fromisoformat(attempt.time)).total_seconds()) < 60
    assert attempt.time.endswith("+00:00")
    assert (attempt.task_id, attempt.status, attempt.seconds, attempt.seed) == (3, "failed", 0.4, 2**64 - 1)
    assert (attempt.device, attempt.ratio, attempt.passed, attempt.total) == ("cuda:0", 2.5, 2, 3)
    assert (attempt.message, attempt.source) == (graded.message, source)
    assert attempt.checks[0] == {
        "name": "test_a[1]",
        "category": "numeric",
        "outcome": "failed",
        "message": failed.message,
        "diagnosis": "漏了平均",
        "ratio": None,
        "seconds": 0.01,
    }
    assert (crashed.ratio, crashed.checks, crashed.source) == (None, [], None)
    assert progress.attempts(4) == [crashed]


def test_summary_follows_the_latest_attempt_and_remembers_the_best(progress, monkeypatch):
    clock = iter(["2025-01-03", "2025-01-02", "2025-01-01", "2025-01-04"])  # set back: the order is that of recording
    monkeypatch.setattr(module, "now", lambda: next(clock))
    progress.record(verdict("passed", seconds=2.0, ratios=[1.0, 3.0]))
    progress.record(verdict("passed", seconds=3.0, ratios=[2.0]))
    progress.record(verdict("timeout", seconds=0.1, ratios=[0.1]))
    progress.record(verdict("error", id=30))
    summaries = progress.summaries()
    assert summaries[29] == module.Summary("failed", 3, True, 2.0, 2.0, "2025-01-01")
    assert summaries[30] == module.Summary("failed", 1, False, None, None, "2025-01-04")
    assert (progress.has_passed(29), progress.has_passed(30)) == (True, False)


def test_hints_stop_at_what_is_available(progress):
    assert [progress.show_next_hint(29, 2) for _ in range(3)] == [1, 2, 2]
    assert progress.show_next_hint(29, 1) == 1, "a hint was removed from chapter.toml"
    assert (progress.hints_shown(29), progress.hints_shown(30)) == (2, 0)


def test_events_in_order_and_only_known_ones(progress):
    for kind in module.EVENTS:
        progress.record_event(29, kind)
    progress.record_event(30, "show")
    assert [kind for _, kind in progress.events(29)] == list(module.EVENTS)
    with pytest.raises(ValueError):
        progress.record_event(29, "shwo")


def test_import_is_light():
    code = "import sys, torch_kata.progress; print({'torch', 'numpy', 'typer', 'rich'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_no_handle_stays_open(progress):
    progress.record(verdict())
    progress.summaries()
    progress.path.write_bytes(b"rubbish" * 1000)
    complaint(progress.summaries)
    complaint(lambda: progress.record(verdict()))
    assert not [file for file in psutil.Process().open_files() if str(progress.folder) in file.path]
    assert sorted(contents(progress.folder)) == ["progress.db"]


def test_two_writers_lose_nothing(progress):
    code = "input()\nfor i in range(200): progress.record(verdict, source=f'{sys.argv[0]} {i}')"
    writers = [child(code, progress.folder) for _ in range(2)]
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    while any(writer.poll() is None for writer in writers):
        progress.summaries()  # a reader is never refused either
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(progress.attempts(1)) == 400
    assert integrity(progress) == [("ok",)]


def test_a_kill_in_the_middle_of_a_write(progress):
    code = "while True:\n    progress.record(verdict, source='x' * 1_000_000)\n    print(flush=True)"
    acknowledged = 0
    for round in range(6):
        writer = child(code, progress.folder)
        acknowledged += len(writer.stdout.readline())
        time.sleep(0.013 * round)
        writer.kill()
        acknowledged += len(writer.stdout.read())
        writer.wait()
        assert acknowledged <= progress.summaries()[1].attempts <= acknowledged + round + 1
        assert integrity(progress) == [("ok",)]
    progress.record(verdict())
    assert progress.has_passed(29)


def test_a_kill_with_half_a_write_in_the_file(filled):
    code = """
import os
with progress.writing() as connection:
    before = progress.path.stat().st_size
    connection.execute("UPDATE attempts SET source = zeroblob(5000000)")  # more than SQLite keeps in memory
    print(progress.path.stat().st_size > before, flush=True)
    os.kill(os.getpid(), 9)
"""
    output, _ = child(code, filled.folder).communicate()
    assert output == "True\n"
    assert {attempt.source for attempt in filled.attempts()} == {"x" * 3000}
    assert integrity(filled) == [("ok",)]


def test_a_newer_schema_is_left_alone(filled):
    with closing(sqlite3.connect(filled.path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = contents(filled.folder)
    for action in (filled.summaries, lambda: filled.record(verdict()), lambda: filled.show_next_hint(1, 1)):
        complaint(action, filled.path, "更新 torch-kata")
    assert contents(filled.folder) == before


def test_an_older_file_is_read_and_then_brought_up_to_date(filled):
    with closing(sqlite3.connect(filled.path)) as connection:
        for table in ("reviews", "cards", "answers", "interviews"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 1")
    before = contents(filled.folder)
    assert len(filled.summaries()) == 40 and filled.rows("SELECT * FROM cards", since=2) == []
    assert contents(filled.folder) == before
    filled.record(verdict(id=50))
    assert len(filled.summaries()) == 41 and filled.rows("SELECT 1 FROM cards", since=2) == []
    with closing(sqlite3.connect(filled.path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (store.SCHEMA,)


def test_a_damaged_file_is_kept_aside_with_its_journal(filled):
    filled.path.write_bytes(b"rubbish")
    filled.path.with_name("progress.db-journal").write_bytes(b"journal")
    kept = [store.keep_aside(filled.path)]
    filled.record(verdict())
    kept.append(store.keep_aside(filled.path))
    assert len(set(kept)) == 2 and kept[0].read_bytes() == b"rubbish"
    assert kept[0].with_name(f"{kept[0].name}-journal").read_bytes() == b"journal"
    assert filled.summaries() == {}


def rubbish(path):
    path.write_bytes(b"not a database " * 500)


def few_bytes(path):
    path.write_bytes(b"xy")  # SQLite takes a single byte for an empty file


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def truncated(path):
    os.truncate(path, path.stat().st_size // 2)


def other_database(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE notes (text)")


def lost_tables(path):
    with closing(sqlite3.connect(path)) as connection:
        for table in ("attempts", "hints"):
            connection.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize("damage", [rubbish, few_bytes, zeros, truncated, other_database, lost_tables])
def test_a_damaged_file_is_left_alone(filled, damage):
    damage(filled.path)
    before = contents(filled.folder)
    for action in (filled.summaries, filled.attempts, lambda: filled.record(verdict())):
        complaint(action, filled.path, "已損壞")
        complaint(lambda: Progress(filled.folder).show_next_hint(1, 1), filled.path)
    assert contents(filled.folder) == before


def test_damage_that_a_write_would_not_meet_is_found_before_it(filled):
    with open(filled.path, "r+b") as file:  # the page of an old attempt; new ones go to the end
        file.seek(8 * 4096)
        file.write(os.urandom(4096))
    before = contents(filled.folder)
    complaint(lambda: Progress(filled.folder).record_event(1, "show"), filled.path, "已損壞")
    assert contents(filled.folder) == before


def test_contents_that_make_no_sense(filled):
    with closing(sqlite3.connect(filled.path)) as connection, connection:
        connection.execute("UPDATE attempts SET checks = ? WHERE id = 3", (b"[{",))
    complaint(filled.attempts, filled.path, "已損壞")


def test_an_empty_file_is_a_record_not_begun(progress):
    progress.folder.mkdir(parents=True)
    progress.path.touch()  # what a kill between opening and the first commit leaves
    assert progress.summaries() == {}
    progress.record(verdict())
    assert progress.has_passed(29)


def test_a_file_where_the_folder_should_be(tmp_path):
    folder = tmp_path / ".kata"
    folder.write_text("mine")
    for progress in (Progress(folder), Progress(folder / "inner")):
        assert progress.summaries() == {}
        complaint(lambda progress=progress: progress.record(verdict()), progress.folder, "KATA_HOME", "檔案擋著")
    assert folder.read_text() == "mine"


def test_a_folder_where_the_file_should_be(progress):
    progress.path.mkdir(parents=True)
    complaint(progress.summaries, progress.folder, "KATA_HOME")
    complaint(lambda: progress.record(verdict()), progress.folder, "KATA_HOME")


def test_a_read_only_file_can_be_read(filled, monkeypatch):
    connect = sqlite3.connect
    for mode in ("mode=ro", "immutable=1"):
        monkeypatch.setattr(
            sqlite3,
            "connect",
            lambda path, mode=mode, **more: connect(f"{path.as_uri()}?{mode}", uri=True, **more),
        )
        assert len(filled.attempts()) == 40
        assert Progress(filled.folder).has_passed(29)
        complaint(lambda: filled.record(verdict()), filled.folder, "KATA_HOME", "唯讀")


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="RLIMIT_FSIZE is of Unix")
def test_a_full_disk(filled):
    code = """
import resource, signal
from torch_kata.errors import UsageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = progress.path.stat().st_size + 8192
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    progress.record(verdict, source="x" * 1_000_000)
except UsageError as error:
    print(str(error).encode("utf-8").hex())
"""
    output, _ = child(code, filled.folder).communicate()
    text = bytes.fromhex(output).decode("utf-8")
    assert str(filled.folder) in text and "KATA_HOME" in text and "空間" in text
    assert len(filled.attempts()) == 40
    assert integrity(filled) == [("ok",)]
    filled.record(verdict())


def test_a_file_that_another_program_keeps_locked(filled, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(filled.path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        complaint(filled.summaries, filled.path, "占用")
        complaint(lambda: filled.record(verdict()), filled.path, "占用")
    assert len(filled.attempts()) == 40
