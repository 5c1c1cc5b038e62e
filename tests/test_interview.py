"""Mock interviews: what is drawn, how time and score are counted, that nothing is lost, and one from end to end."""

import inspect
import json
import os
import queue
import random
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from torch_kata import bank, interview_record, interviewing, picking, practice, review, sitting, store
from torch_kata import interview as module
from torch_kata import progress as progress_module
from torch_kata.catalog import Catalog, Task
from torch_kata.errors import UsageError
from torch_kata.interview import GIVEN_UP, PASSED, TIME_UP, WAITING, WORKING, Clock, Interview, Part
from torch_kata.progress import Progress, Summary
from torch_kata.verdict import Check, Verdict

CATALOG = Catalog()
QUESTIONS = {question.id: question for question in bank.questions()}


@pytest.fixture
def progress(tmp_path):
    return Progress(tmp_path / "home")


def task(number, level=1, minutes=10, chapter="ch1_x"):
    return Task(number, f"slug{number}", chapter, "題目", level, minutes)


def verdict(status="passed", number=2, passed=2, total=3):
    outcomes = ["passed"] * passed + ["failed"] * (total - passed)
    checks = [Check(f"test_{n}", "numeric" if n else "shape", "標籤", outcome) for n, outcome in enumerate(outcomes)]
    return Verdict(number, "slug", "ch1_basics", status, 0.1, 7, "cpu", checks=checks)


def part(number=2, **more):
    known = {"slug": f"slug{number}", "chapter": "ch1_basics", "minutes": 10}
    counts = {"checks": {"shape": [0, 0], "numeric": [0, 0]}, "questions": {"a": 4}}
    return Part(number, **{**known, **counts, **more})


def held(*parts, minutes=25):
    return Interview(minutes, 7, ["ch1"], "1-5", list(parts or [part(2), part(9, chapter="ch2_data")]))


def begun(progress, interview=None):
    interview = interview or held()
    interview_record.begin(progress, interview, CATALOG)
    return interview


# ── what is drawn ──


@pytest.mark.parametrize("seed", range(60))
def test_the_tasks_fill_the_time(seed):
    rng = random.Random(seed)
    tasks = [task(n, rng.randint(1, 5), rng.choice([10, 15, 20, 25, 30, 40, 45])) for n in range(rng.randint(1, 40))]
    weights = {t.id: rng.choice([picking.WEAK, picking.UNSEEN, picking.LONG_AGO, picking.LATELY]) for t in tasks}
    minutes = rng.randint(min(t.minutes for t in tasks), 150)
    drawn = picking.draw(tasks, minutes, weights, random.Random(seed))
    assert drawn == picking.draw(tasks[::-1], minutes, weights, random.Random(seed)), "the same seed, the same tasks"
    assert len({t.id for t in drawn}) == len(drawn) and set(drawn) <= set(tasks)
    left = minutes - sum(t.minutes for t in drawn)
    assert left >= 0 and all(t.minutes > left for t in tasks if t not in drawn)
    two = sorted(t.minutes for t in tasks)[:2]
    assert len(drawn) > 1 or len(tasks) == 1 or sum(two) > minutes, "two fit, so there are two"
    assert drawn == sorted(drawn, key=lambda t: (t.level, t.minutes, t.id))


@pytest.mark.parametrize("seed", range(40))
def test_the_levels_take_turns(seed):
    tasks = [task(n, level=1 + n % 4) for n in range(40)]
    weights = {t.id: picking.WEAK if t.level == 2 else picking.LATELY for t in tasks}
    drawn = picking.draw(tasks, random.Random(seed).randint(20, 120), weights, random.Random(seed))
    counts = Counter(t.level for t in drawn)
    assert max(counts.values()) - min(counts[level] for level in range(1, 5)) <= 1


def test_weak_ground_comes_before_unseen_before_passed():
    tasks = [task(n) for n in range(40)]
    kinds = [picking.WEAK, picking.UNSEEN, picking.LONG_AGO, picking.LATELY]
    weights = {t.id: kinds[t.id % 4] for t in tasks}
    drawn = Counter(weights[t.id] for seed in range(300) for t in picking.draw(tasks, 30, weights, random.Random(seed)))
    assert drawn[picking.WEAK] > 1.5 * drawn[picking.UNSEEN] > 1.5 * drawn[picking.LATELY] > 0
    assert drawn[picking.UNSEEN] > drawn[picking.LONG_AGO] > 1.5 * drawn[picking.LATELY]


def test_the_weight_of_a_task():
    passed, failed = (Summary(state, 1, True, None, None, "") for state in ("passed", "failed"))
    assert picking.weight(None, False, None, 0.0) == picking.UNSEEN
    weak = [
        (failed, False, 3, 1.0),
        (passed, True, 4, 1.0),
        (passed, False, review.AGAIN, 1.0),
        (passed, False, 2, 1.0),
    ]
    assert {picking.weight(*case) for case in weak} == {picking.WEAK}
    fading = [picking.weight(passed, False, review.GOOD, kept) for kept in (1.0, 0.97, 0.94, 0.9, 0.5)]
    assert (
        fading == sorted(fading)
        and fading[0] == picking.LATELY
        and fading[-2:] == pytest.approx([picking.LONG_AGO] * 2)
    )


def test_weights_of_a_record(progress, monkeypatch):
    first = datetime(2026, 3, 1, 12, tzinfo=UTC)
    moments = (first + timedelta(minutes=n) for n in range(100))
    monkeypatch.setattr(progress_module, "now", lambda: next(moments).isoformat(timespec="milliseconds"))
    for number, status in ((1, "passed"), (2, "failed"), (3, "passed")):
        progress.record(verdict(status, number))
    review.rate(progress, "task:1", review.EASY, first)
    review.rate(progress, "task:3", review.AGAIN, first)
    tasks = [task(n) for n in (1, 2, 3, 4)]
    after = {days: picking.weights(tasks, progress, first + timedelta(days=days)) for days in (0, 4, 400)}
    assert after[0] == {1: picking.LATELY, 2: picking.WEAK, 3: picking.WEAK, 4: picking.UNSEEN}
    assert picking.LATELY < after[4][1] < picking.LONG_AGO, "a pass fades"
    assert after[400][1] == picking.WEAK, "and is due in the end"


def test_what_does_not_fit_is_said():
    for tasks, minutes, said in (([task(1, minutes=30)], 20, "30 分鐘"), ([], 45, "--level")):
        with pytest.raises(UsageError, match=said):
            picking.draw(tasks, minutes, {1: 1.0}, random.Random(0))


@pytest.mark.parametrize("text", ["", "0", "6", "3-2", "1-", "x", "1-5-2"])
def test_levels_that_are_none(text):
    with pytest.raises(UsageError, match="--level"):
        picking.levels(text)


def test_topics_and_levels():
    def ids(topics, level="1-5"):
        return {t.id for t in picking.candidates(CATALOG, picking.split(topics), level, {1: "passed"})}

    assert picking.levels("3") == (3, 3) and picking.levels("2-4") == (2, 4)
    assert ids("2,focal_loss") == ids("2、 focal_loss") == {2, 29}
    assert 29 in ids("LOSS") and ids("loss") == {t.id for t in CATALOG.tasks if "loss" in t.tags}
    assert ids("ch1") == {t.id for t in CATALOG.tasks if t.chapter == "ch1_basics"} > ids("ch1", "1")
    assert ids("passed") == {1} and ids("", "1") == {t.id for t in CATALOG.tasks if t.level == 1}
    named = {number for q in bank.questions() if q.group == "basics" for number in q.tasks}
    assert ids("basics") == {t.id for t in CATALOG.tasks if t.id in named}
    with pytest.raises(UsageError, match="xyz"):
        ids("ch1,xyz")


def test_what_cannot_run_here_is_not_drawn(monkeypatch):
    monkeypatch.setattr(picking, "find_spec", lambda name: None)
    assert picking.candidates(CATALOG, [], "1-5", {}) == [t for t in CATALOG.tasks if not t.needs]


@pytest.mark.parametrize("topics", [[], ["ch1"], ["applied_ai"]])
def test_two_or_three_questions_a_task(topics):
    among = picking.candidates(CATALOG, topics, "1-5", {})
    tasks = random.Random(1).sample(among, 4)
    ranked = random.Random(2).sample(bank.questions(), len(bank.questions()))
    chosen = picking.questions(tasks, among, topics, ranked, CATALOG)
    every = [question.id for questions in chosen.values() for question in questions]
    assert len(set(every)) == len(every) and list(chosen) == [t.id for t in tasks]
    for t in tasks:
        assert 2 <= len(chosen[t.id]) <= 3
        own = [question for question in ranked if t.id in question.tasks]
        assert set(chosen[t.id]) <= set(own) or len(set(own) - set(every)) < 3


def test_the_same_seed_and_record_give_the_same_interview(progress):
    def drawn(seed):
        made = interviewing.put_together(CATALOG, progress, 60, "", "1-4", seed)
        return [(p.task, tuple(p.questions)) for p in made.parts]

    assert drawn(5) == drawn(5)
    assert len({tuple(drawn(seed)) for seed in range(8)}) > 4


# ── its time and its score ──


class FakeTime:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_the_clock_counts_only_while_the_program_runs():
    fake = FakeTime()
    clock = Clock(fake)
    spent = []
    for step in (1.5, 0.0, module.PAUSE, 3600.0, 2.0):  # an hour asleep is no time of the learner's
        fake.now += step
        spent.append(clock.take())
    assert spent == [1.5, 0.0, module.PAUSE, 0.0, 2.0]
    assert inspect.signature(Clock).parameters["source"].default is time.monotonic, "never the time of day"


@pytest.mark.parametrize(
    "minutes, before, after, said",
    [(45, 1351, 1350, 22.5), (45, 601, 599, 10), (45, 600, 599, None), (45, 301, 300, 5), (45, 61, 20, 1)]
    + [(45, 700, 30, 1), (20, 601, 600, 10), (8, 241, 239, 4), (8, 500, 470, None), (5, 301, 299, None)],
)
def test_reminders(minutes, before, after, said):
    assert module.reminder(minutes, before, after) == said


def test_the_score_does_not_flatter():
    passed, half, never = part(2, minutes=10), part(5, minutes=30), part(9, minutes=20, chapter="ch2_data")
    passed.graded(verdict("passed", passed=3))
    half.graded(verdict("failed", passed=2))
    half.status = TIME_UP
    assert (passed.status, passed.share(), half.share(), never.share()) == (PASSED, 1.0, 0.5 * 2 / 3, 0.0)
    assert (half.share("shape"), half.share("numeric")) == (0.5, 0.25)
    passed.ticked = {"a": 3}
    for one in (passed, half, never):
        one.asked = True  # the questions of the others were skipped
    result = module.score(held(passed, half, never, minutes=60))
    tasks = 10 * 1 + 30 / 3 + 20 * 0
    assert result["score"] == pytest.approx((tasks + 3 * 3 / 4) / (60 + 9), abs=1e-4)
    expected = {"shape": (10 + 15) / 60, "numeric": (10 + 7.5) / 60, "questions": 0.25}
    assert result["categories"] == pytest.approx(expected, abs=1e-4)
    assert result["chapters"] == pytest.approx({"ch1_basics": 20 / 40, "ch2_data": 0.0})
    assert result["summary"].startswith("1/3 題通過")


@pytest.mark.parametrize("seed", range(20))
def test_a_score_is_between_nothing_and_all(seed):
    rng = random.Random(seed)
    parts = [part(n, minutes=rng.randint(10, 40), chapter=f"ch{n % 2}_x") for n in range(1, 5)]
    for one in parts:
        one.checks = {"shape": [rng.randint(0, 3), 3], "numeric": [rng.randint(0, 2), 2]}
        one.status = rng.choice([PASSED, GIVEN_UP, TIME_UP])
        one.ticked = {"a": rng.randint(0, 4)}
    result = module.score(held(*parts))
    values = [result["score"], *result["categories"].values(), *result["chapters"].values()]
    assert all(0 <= value <= 1 for value in values)
    all_right = all(one.status == PASSED and one.ticked["a"] == 4 for one in parts)
    assert (result["score"] == 1) == all_right


def test_nothing_done_is_nothing_and_all_done_is_all():
    assert module.score(held())["score"] == 0
    parts = [part(n, status=PASSED, ticked={"a": 4}) for n in (2, 9)]
    assert module.score(held(*parts))["score"] == 1


def test_three_commands_to_go_on_with():
    failed = part(2, status=GIVEN_UP, checks={"shape": [1, 2]})
    slow = part(9, status=PASSED, seconds=900.0, questions={"b": 4}, ticked={"b": 4})
    commands = [command for command, _ in module.advice(held(failed, slow))]
    assert commands == ["kata watch 2", "kata ask a", "kata watch 9"]
    best = [part(n, status=PASSED, ticked={"a": 4}) for n in (2, 9)]
    assert [command for command, _ in module.advice(held(*best))] == ["kata review", "kata next", "kata report"]


# ── how it is kept ──


def test_an_interview_comes_back_whole(progress):
    interview = begun(progress)
    first, _ = interview.parts
    first.graded(verdict("failed", passed=1))
    first.seconds, first.status, first.ticked = 123.456, TIME_UP, {"a": 2}
    interview.owner = None
    interview_record.save(progress, interview)
    again = interview_record.resume(progress, CATALOG)
    assert again.owner[0] == os.getpid()
    assert interview_record.opened(progress) == again
    again.owner = None
    assert again == interview
    assert again.left == 25 * 60 - 123.456 and again.current.task == 2


def test_fresh_stubs_that_are_never_overwritten(progress):
    interview = begun(progress)
    folder = interview_record.folder(progress, interview)
    mine, lost = (folder / t.path for t in CATALOG.select(["2", "9"]))
    assert all("NotImplementedError" in path.read_text("utf-8") for path in (mine, lost))
    mine.write_text("# 我的\n", "utf-8")
    lost.unlink()
    interview_record.provide(progress, interview, CATALOG)
    assert mine.read_text("utf-8") == "# 我的\n" and "NotImplementedError" in lost.read_text("utf-8")
    interview.owner, interview.result = None, {"summary": ""}
    interview_record.save(progress, interview)
    store.keep_aside(progress.path)  # a new record numbers from the beginning, but the folders are still there
    assert begun(Progress(progress.folder)).number == 2
    assert mine.read_text("utf-8") == "# 我的\n"


def test_one_interview_at_a_time(progress):
    interview = begun(progress)
    refused = [lambda: begun(progress), lambda: interview_record.resume(progress, CATALOG)]
    for action in [*refused, lambda: interview_record.abandon(progress)]:
        with pytest.raises(UsageError, match=f"另一個終端機.*{os.getpid()}"):
            action()
    pid, born = interview.owner
    for owner in ((pid, born - 60.0), (2**22 + 1, born), None):  # another program with that number, none, stopped
        interview.owner = owner
        interview_record.save(progress, interview)
        with pytest.raises(UsageError, match="--resume.*--abandon"):
            begun(progress)
        assert interview_record.resume(progress, CATALOG).owner == pytest.approx((pid, born), abs=1)


def test_abandoning_ends_it(progress):
    for action in (interview_record.abandon, lambda progress: interview_record.resume(progress, CATALOG)):
        with pytest.raises(UsageError, match="沒有進行中"):
            action(progress)
    assert not progress.folder.exists(), "looking makes no record"
    interview = begun(progress)
    interview.owner = None
    interview_record.save(progress, interview)
    assert interview_record.abandon(progress).number == 1
    assert interview_record.opened(progress) is None
    assert begun(progress).number == 2


def test_a_task_that_is_there_no_more(progress):
    interview = begun(progress)
    interview.parts[1].task, interview.owner = 9999, None
    interview_record.save(progress, interview)
    with pytest.raises(UsageError, match="9999.*--abandon"):
        interview_record.resume(progress, CATALOG)
    assert interview_record.opened(progress).owner is None


def test_begun_by_many_at_once(progress):
    progress.record(verdict())
    code = """
import sys, time
from pathlib import Path
from torch_kata import interview_record
from torch_kata.catalog import Catalog
from torch_kata.errors import UsageError
from torch_kata.interview import Interview
from torch_kata.progress import Progress
try:
    interview_record.begin(Progress(Path(sys.argv[1])), Interview(45, 1, [], "1-5", []), Catalog())
    print("begun", flush=True)
except UsageError as error:
    print("refused", flush=True)
time.sleep(60)
"""
    command = [sys.executable, "-c", code, str(progress.folder)]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        assert sorted(program.stdout.readline().strip() for program in programs) == ["begun", "refused", "refused"]
    finally:
        for program in programs:
            program.kill()
            program.communicate()
    assert interview_record.resume(progress, CATALOG).number == 1, "killed, it can be gone on with"


def test_a_state_that_makes_no_sense(progress):
    begun(progress)
    with closing(sqlite3.connect(progress.path)) as connection, connection:
        connection.execute("UPDATE interviews SET state = '{\"parts\": 3}'")
    with pytest.raises(store.Damaged):
        interview_record.opened(progress)


@pytest.fixture
def zone(monkeypatch):
    def change(name):
        monkeypatch.setenv("TZ", name)
        getattr(time, "tzset", lambda: None)()

    yield change
    monkeypatch.undo()
    getattr(time, "tzset", lambda: None)()


def test_a_clock_set_back_over_midnight_in_another_zone(progress, monkeypatch, zone):
    times = iter(["2026-03-02T00:10", "2026-03-01T23:50", "2026-03-01T08:00"])
    monkeypatch.setattr(interview_record, "now", lambda: f"{next(times)}:00.000+00:00")
    zone("Asia/Taipei")
    first = begun(progress)
    first.parts[0].seconds, first.owner, first.result = 600.0, None, {"summary": "", "score": 0.5}
    interview_record.save(progress, first)  # ended, by the time of day, before it began
    second = begun(progress, held(part(10)))  # and the next began earlier still
    zone("America/New_York")
    assert interview_record.opened(progress).number == second.number == 2
    assert (first.left, second.left) == (15 * 60, 25 * 60)
    rows = progress.rows("SELECT started, ended FROM interviews")
    assert rows == [("2026-03-02T00:10:00.000+00:00", "2026-03-01T23:50:00.000+00:00"), (second.started, None)]


def test_hints_and_solutions_are_shut(run, home, tmp_path):
    begun(Progress(tmp_path / "home"))
    for command in (["hint", "2"], ["solution", "9", "--reveal"], ["diff", "2", "--reveal"]):
        finished = run(*command, env=home)
        assert finished.returncode == 2 and not finished.stdout
        assert "模擬面試" in finished.stderr and finished.stderr.count("\n") == 1
    assert run("hint", "5", env=home).returncode == 0, "of another task"
    finished = run("interview", "--topics", "nonsense", env=home)
    assert finished.returncode == 2 and finished.stderr.count("\n") == 1


# ── a sitting, with everything around it played ──


class Meanwhile:
    """Plays events: ("typed", line), ("saved", number), ("graded", verdict) when a grading was asked for, a function
    to call, or seconds to pass."""

    def __init__(self, script, fake):
        self.script, self.fake, self.gradings, self.idle = list(script), fake, 0, 0

    def listen(self):
        pass

    def watching(self, task):
        from contextlib import nullcontext

        return nullcontext()

    def grade(self, task):
        self.gradings += 1

    def next(self, seconds):
        self.idle += 1
        assert self.script and self.idle < 1000, "nothing happens any more"
        event = self.script[0]
        if callable(event):
            self.script.pop(0)()
            raise queue.Empty
        if isinstance(event, (int, float)):
            self.fake.now += self.script.pop(0)
            raise queue.Empty
        if event[0] == "graded" and not self.gradings:
            raise queue.Empty
        return self.script.pop(0)


@pytest.fixture
def play(progress, monkeypatch):
    """play(interview, *events): whether it came to its end, and the sitting."""
    fake = FakeTime()
    monkeypatch.setattr(sitting, "Clock", lambda: Clock(fake))
    monkeypatch.setattr(bank, "questions", lambda: tuple(QUESTIONS.values()))

    def call(interview, *events, watched=True):
        one = sitting.Sitting(interview, CATALOG, progress, None)
        one.meanwhile, one.watched = Meanwhile(events, fake), watched
        return one.hold(), one

    return call


FIRST = next(iter(QUESTIONS))
POINTS = len(QUESTIONS[FIRST].asked_for)


def asking(*numbers):
    """An interview about these tasks, with one question each."""
    return held(*[part(n, questions={key: 3}) for n, key in zip(numbers, QUESTIONS, strict=False)])


def test_a_task_passed_and_its_question(play, progress):
    interview = begun(progress, asking(2))
    events = [20.0, ("saved", 2), ("graded", verdict("failed")), 10.0, ("typed", ""), 1.0, ("typed", "stray")]
    events += [("graded", verdict("passed", passed=3)), ("typed", ""), ("typed", "7 x"), ("typed", "1 3")]
    ended, one = play(interview, *events)
    assert ended and one.meanwhile.gradings == 2
    [first] = interview.parts
    assert (first.status, first.seconds, first.ticked, first.asked) == (PASSED, 31.0, {FIRST: 2}, True)
    assert [attempt.status for attempt in progress.attempts()] == ["failed", "passed"]
    assert [ticked for _, _, ticked, _ in review.answers(progress)] == [[0, 2]]
    assert dict(progress.rows("SELECT key, rating FROM reviews"))["task:2"] == review.GOOD
    kept = interview_record.opened(progress)
    assert kept.parts == interview.parts, "every step was kept"


def test_a_pass_is_rated_again_in_an_interview(play, progress):
    progress.record(verdict("passed", passed=3))
    review.rate_pass(progress, 2)
    interview = begun(progress, asking(2))
    events = [("saved", 2), ("graded", verdict("passed", passed=3)), ("typed", ""), ("typed", "a")]
    assert play(interview, *events)[0]
    assert [key for (key,) in progress.rows("SELECT key FROM reviews")].count("task:2") == 2


def test_the_time_is_up(play, progress, capsys):
    interview = begun(progress, asking(2, 9))
    events = [*[20.0] * 74, ("saved", 2), 25.0, ("saved", 2), ("graded", verdict("failed")), 0.0, ("typed", "")]
    ended, one = play(interview, *events)
    first, second = interview.parts
    assert ended and one.meanwhile.gradings == 1, "what was saved too late is not graded any more"
    assert (first.status, first.counted(), first.ticked, second.status) == (TIME_UP, (2, 3), {}, WAITING)
    said = capsys.readouterr().out
    assert said.count("還剩 12:") == 1 and said.count("還剩 10:0") == 1 and "時間到" in said
    interviewing.show_score(_scored(interview), CATALOG)
    assert "沒有開始" in capsys.readouterr().out


def _scored(interview):
    interview.result = module.score(interview)
    return interview


def test_given_up_and_asked_about(play, progress):
    interview = begun(progress, asking(2, 9))
    events = [("typed", "?"), ("typed", "t"), ("typed", "N "), ("typed", ""), ("typed", "a"), 5.0, ("typed", "q")]
    ended, _ = play(interview, *events)
    assert not ended and [p.status for p in interview.parts] == [GIVEN_UP, WORKING]
    assert interview.owner is None and interview_record.opened(progress).owner is None
    assert interview.parts[0].ticked == {FIRST: POINTS}


def test_a_verdict_of_a_file_saved_meanwhile_counts_nothing(play, progress):
    interview = begun(progress, asking(2))
    path = interview_record.folder(progress, interview) / CATALOG.select(["2"])[0].path

    def save():
        path.write_text("# 2\n", "utf-8")

    events = [("typed", ""), 1.0, save, ("graded", verdict()), 1.0, ("graded", verdict("failed")), 1.0, ("typed", "q")]
    ended, one = play(interview, *events)
    assert not ended and one.meanwhile.gradings == 2
    assert [attempt.status for attempt in progress.attempts()] == ["failed"]


def test_nobody_is_there_any_more(play, progress):
    interview = begun(progress, asking(2))
    ended, _ = play(interview, ("saved", 2), ("typed", None), ("graded", verdict("passed", passed=3)))
    assert not ended and interview.parts[0].status == PASSED and not interview.parts[0].asked


def test_it_is_kept_at_least_every_five_seconds(play, progress, monkeypatch):
    interview = begun(progress, asking(2))
    moments = []
    save = interview_record.save
    monkeypatch.setattr(interview_record, "save", lambda *given: (moments.append(interview.left), save(*given)))
    play(interview, *[1.0] * 60, ("typed", "q"))
    assert max(a - b for a, b in zip(moments, moments[1:], strict=False)) <= 5 and len(moments) < 25


def test_a_record_that_cannot_be_written_is_no_end(play, progress, monkeypatch, capsys):
    interview = begun(progress, asking(2))

    def refuse(*_):
        raise UsageError("磁碟已滿")

    monkeypatch.setattr(interview_record, "save", refuse)
    ended, _ = play(interview, ("saved", 2), ("graded", verdict("passed", passed=3)), ("typed", ""), ("typed", "1"))
    assert ended and interview.parts[0].ticked == {FIRST: 1}
    assert "磁碟已滿" in capsys.readouterr().err


def test_a_question_read_through_a_function():
    said = iter(["", "1"])
    assert practice.put(QUESTIONS[FIRST], CATALOG, lambda prompt: next(said)) == {0}


# ── from end to end ──


class Terminal:
    """kata in a pseudo-terminal."""

    def __init__(self, *arguments, cwd, env):
        import pty

        self.ours, theirs = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": str(cwd), "PYTHONIOENCODING": "utf-8", "TERM": "dumb", **env}
        command = [sys.executable, "-m", "torch_kata.cli", *arguments]
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), theirs)
        self.process = subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True, **streams)
        os.close(theirs)
        self.text, self.seen = "", 0

    def wait(self, *words, seconds=300):
        """Until every word was shown since the last call, one after the other."""
        end = time.monotonic() + seconds
        for word in words:
            while (found := self.text.find(word, self.seen)) < 0:
                assert time.monotonic() < end, f"no {word} in:\n{self.text[self.seen :]}"
                if select.select([self.ours], [], [], 1)[0] and not self._read():
                    raise AssertionError(f"no {word} before the end:\n{self.text[self.seen :]}")
            self.seen = found + len(word)

    def _read(self):
        try:
            block = os.read(self.ours, 65536)
        except OSError:  # the other end is closed
            return False
        self.text += block.decode("utf-8", "replace")
        return bool(block)

    def type(self, line):
        os.write(self.ours, f"{line}\n".encode())

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.ours)


@pytest.fixture
def terminal(checkout, home):
    pytest.importorskip("pty")
    opened = []

    def call(*arguments):
        opened.append(Terminal(*arguments, cwd=checkout, env=home))
        return opened[-1]

    yield call
    for one in opened:
        one.close()


def state(home):
    with closing(sqlite3.connect(os.path.join(home["KATA_HOME"], "progress.db"))) as connection:
        started, ended, text = connection.execute("SELECT started, ended, state FROM interviews").fetchone()
        counts = [connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("attempts", "answers")]
    return json.loads(text), ended, counts


def answer(one, line):
    one.wait("按 Enter 看重點")
    one.type("")
    one.wait("講到了哪幾點")
    one.type(line)


def test_a_whole_interview_with_a_kill_in_the_middle(terminal, run, checkout, home, tmp_path):
    exercises = {path: path.read_bytes() for path in (checkout / "exercises").rglob("*.py")}
    first, second = Catalog(checkout).select(["2", "9"])
    folder = tmp_path / "home" / "interviews" / "1"

    one = terminal("interview", "--topics", "2,9", "--minutes", "25", "--seed", "1")
    one.wait("2 題，25 分鐘", "題目", str(folder / first.path), "還剩 25:00")
    one.type("t")
    one.wait("還剩 2")
    for arguments in (["interview"], ["interview", "--resume"], ["interview", "--abandon"]):
        refused = run(*arguments, cwd=checkout, env=home)
        assert refused.returncode == 2 and "另一個終端機" in refused.stderr
    assert run("solution", "2", "--reveal", cwd=checkout, env=home).returncode == 2
    (folder / first.path).write_text(first.solution.read_text("utf-8"), "utf-8")
    one.wait("評分中", "✓ 002 matmul_transpose", "用了", "不計時")
    answer(one, "1 2")
    one.wait("按 Enter 看重點")
    os.kill(one.process.pid, signal.SIGKILL)
    one.process.wait()

    kept, ended, counts = state(home)
    assert ended is None and counts == [1, 1]
    done, waiting = kept["parts"]
    assert (done["task"], done["status"], done["asked"], list(done["ticked"].values())) == (2, "passed", False, [2])
    assert done["seconds"] > 0 and waiting["status"] == "waiting"
    refused = run("interview", cwd=checkout, env=home)
    assert refused.returncode == 2 and "--resume" in refused.stderr

    one = terminal("interview", "--resume")
    one.wait("繼續")
    for _ in range(len(done["questions"]) - 1):
        answer(one, "a")
    one.wait(str(folder / second.path), "還剩 2")
    one.type("")
    one.wait("評分中", "009 concat_columns", "還剩")
    one.type("n")
    for _ in waiting["questions"]:
        answer(one, "")
    one.wait(
        "得分", "1/2 題通過", "002 matmul_transpose", "009 concat_columns", "類別", "問題", "主題", "接下來", "kata "
    )
    assert one.process.wait(60) == 0

    kept, ended, counts = state(home)
    done, given_up = kept["parts"]
    assert ended and kept["result"]["score"] > 0 and kept["owner"] is None
    assert counts == [1, len(done["questions"]) + len(given_up["questions"])]
    assert given_up["status"] == "given_up" and given_up["checks"]["shape"][0] == 0 < given_up["checks"]["shape"][1]
    assert list(done["ticked"].values())[0] == 2 and set(given_up["ticked"].values()) == {0}
    assert "NotImplementedError" in (folder / second.path).read_text("utf-8")
    assert {path: path.read_bytes() for path in exercises} == exercises, "the learner's own answers stay"
    assert run("hint", "2", cwd=checkout, env=home).returncode == 0, "open again"


def test_through_a_pipe(run, checkout, home):
    typed = "\nt\nn\n" + "\n\n" * 3 + "q\n"
    finished = run("interview", "--topics", "2,9", "--minutes", "20", cwd=checkout, env=home, input=typed)
    assert finished.returncode == 0, finished.stderr
    assert "尚未作答" in finished.stdout and "放棄" in finished.stdout
    again = run("interview", "--resume", cwd=checkout, env=home, input="")
    assert again.returncode == 0 and "停在這裡" in again.stdout
    assert run("interview", "--abandon", cwd=checkout, env=home).returncode == 0
    assert state(home)[1]
