"""Questions and repetition: the bank is whole, ratings follow what was done, a plan holds what it promises."""

import random
import sys
import tomllib
from datetime import UTC, date, datetime, timedelta

import pytest

from torch_kata import bank, practice, review
from torch_kata import progress as record
from torch_kata.catalog import Catalog
from torch_kata.errors import UsageError
from torch_kata.progress import Progress
from torch_kata.verdict import Verdict

DAY = timedelta(days=1)


@pytest.fixture
def progress(tmp_path, monkeypatch):
    """A record whose clock goes on by a minute at each entry."""
    moments = (datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(minutes=n) for n in range(10_000))
    monkeypatch.setattr(record, "now", lambda: next(moments).isoformat(timespec="milliseconds"))
    return Progress(tmp_path)


def tried(progress, status, task=29):
    progress.record(Verdict(task, "slug", "ch3_models", status, 0.5, 7, "cpu"))
    return review.rate_pass(progress, task)


# ── the bank ──


def test_the_bank_is_whole():
    every = bank.questions()
    assert len(every) == 102 and len({q.id for q in every}) == 102 and len({q.title for q in every}) == 102
    assert [sum(q.group == group for q in every) for group in bank.GROUPS] == [12, 20, 20, 50]
    for question in every:
        assert 1 <= question.level <= 5 and all(1 <= task <= 92 for task in question.tasks), question.id
        assert 3 <= len(question.asked_for) <= 6 and not (question.points and question.frame), question.id
        assert bool(question.frame) == (question.group == "experience"), question.id
        assert question.sources or question.group == "experience", question.id
        texts = [*question.asked_for, *question.pitfalls, *question.sources]
        assert all(text.strip() == text and len(text) > 5 for text in texts), question.id
        assert len(set(texts)) == len(texts), question.id


def test_its_files_hold_nothing_unknown():
    for group in bank.GROUPS:
        assert set(tomllib.loads((bank.FOLDER / f"{group}.toml").read_text(encoding="utf-8"))) == {"question"}


def test_the_quick_count_agrees():
    assert [bank.count_of_task(n) for n in range(1, 93)] == [len(bank.of_task(n)) for n in range(1, 93)]


@pytest.mark.parametrize("topic", ["basics", "29", "focal_loss", "ch3", "BatchNorm"])
def test_a_topic(topic):
    found = bank.about([topic], Catalog())
    assert 0 < len(found) < 102
    assert all("batchnorm" in q.title.lower() for q in found) or topic != "BatchNorm"


def test_a_topic_nobody_asks_about():
    with pytest.raises(UsageError, match="量子"):
        bank.about(["量子"], Catalog())


# ── ratings ──


def test_a_pass_at_once_is_easy_and_counts_once(progress):
    assert tried(progress, "passed") == review.EASY
    assert tried(progress, "passed") is None


def test_failures_hints_and_the_solution_make_it_harder(progress):
    assert tried(progress, "failed", 1) is None
    assert tried(progress, "passed", 1) == review.GOOD
    progress.show_next_hint(2, 3)
    assert tried(progress, "passed", 2) == review.HARD
    progress.show_next_hint(3, 3)
    progress.record_event(3, "reveal")
    tried(progress, "failed", 3)
    assert tried(progress, "passed", 3) == review.AGAIN


def test_it_counts_again_once_it_was_begun_again(progress):
    tried(progress, "passed")
    progress.record_event(29, "solution")  # to compare with, after the pass
    progress.record_event(29, "reset")
    assert tried(progress, "passed") == review.EASY
    assert tried(progress, "failed") is None
    assert tried(progress, "passed") == review.GOOD
    progress.record_event(29, "reset")
    progress.record_event(29, "solution")
    assert tried(progress, "passed") == review.AGAIN
    assert len(progress.rows("SELECT 1 FROM reviews")) == 4


@pytest.mark.parametrize("ticked, rating", [(5, 4), (4, 3), (3, 2), (2, 2), (1, 1), (0, 1)])
def test_the_rating_of_ticks(ticked, rating):
    assert review.rating_of_ticks(ticked, 5) == rating


def test_an_answer_is_kept_with_its_rating(progress):
    review.record_answer(progress, "conv-output-size", {2, 0}, 4)
    [(question, _, ticked, total)] = review.answers(progress)
    assert (question, ticked, total) == ("conv-output-size", [0, 2], 4)
    assert progress.rows("SELECT key, rating FROM reviews") == [("question:conv-output-size", review.HARD)]


def test_a_clock_set_back_is_no_error(progress):
    at = datetime(2026, 5, 1, tzinfo=UTC)
    review.rate(progress, "task:1", review.GOOD, at)
    review.rate(progress, "task:1", review.GOOD, at - 30 * DAY)
    [card] = review.cards(progress).values()
    assert card.last_review == at and card.due > at


def test_passes_from_before_are_adopted_once(progress):
    for task in (1, 2):
        progress.record(Verdict(task, "slug", "ch1_basics", "passed", 0.5, 7, "cpu"))
    review.rate_pass(progress, 1)
    review.adopt(progress)
    review.adopt(progress)
    assert progress.rows("SELECT key, rating FROM reviews ORDER BY key") == [("task:1", 4), ("task:2", 3)]


# ── what is due ──


def test_due_the_whole_day_long(progress):
    at = datetime(2026, 3, 1, 22).astimezone()
    review.rate(progress, "task:1", review.GOOD, at)  # due two days later
    review.rate(progress, "task:2", review.EASY, at)  # due eight days later
    assert review.due(progress, at + DAY) == []
    assert review.due(progress, datetime(2026, 3, 3, 0, 5).astimezone()) == ["task:1"]
    assert review.due(progress, at + 9 * DAY) == ["task:1", "task:2"]


def test_an_old_pass_fades(progress):
    at = datetime(2026, 3, 1, tzinfo=UTC)
    review.rate(progress, "task:1", review.GOOD, at)
    cards = review.cards(progress)
    kept = [review.retention(cards, at + n * DAY)["task:1"] for n in (0, 2, 20, 200)]
    assert kept[0] == 1 and kept == sorted(kept, reverse=True) and kept[-1] < 0.6


def test_a_plan_holds_its_days_and_minutes(progress):
    for number in range(1, 9):
        review.rate(progress, f"task:{number}", 1 + number % 4, datetime(2026, 3, 1, 12, tzinfo=UTC))
    cards, unseen = review.cards(progress), [f"task:{number}" for number in range(9, 31)]
    minutes = {f"task:{number}": 10 + number for number in range(1, 31)}
    days = review.days_until(date(2026, 3, 20), date(2026, 3, 3))
    assert days[0] == date(2026, 3, 3) and days[-1] == date(2026, 3, 19)
    planned = review.plan(cards, unseen, minutes, days, 45)
    assert [day.date for day in planned] == days
    assert all(sum(minutes[key] for key in (*day.again, *day.new)) <= 45 for day in planned)
    new = [key for day in planned for key in day.new]
    assert new == unseen[: len(new)] and len(new) >= 5
    assert {key for day in planned for key in day.again} >= set(cards)
    assert planned == review.plan(cards, unseen, minutes, days, 45)


def test_a_task_longer_than_a_day_has_a_day():
    [day] = review.plan({}, ["task:1", "task:2"], {"task:1": 60, "task:2": 5}, [date(2026, 3, 1)], 30)
    assert day.new == ("task:1",)


# ── in the terminal ──


def test_due_questions_are_asked_first_then_new_ones(progress):
    every = list(bank.questions())
    review.rate(progress, every[7].key, review.AGAIN, datetime(2020, 1, 1, tzinfo=UTC))
    for question in every[20:]:
        review.record_answer(progress, question.id, range(len(question.asked_for)), len(question.asked_for))
    picked = practice.pick(every, progress, random.Random(3))
    assert picked[0] == every[7] and set(picked[1:20]) == set(every[:20]) - {every[7]}
    assert (
        picked == practice.pick(every, progress, random.Random(3)) != practice.pick(every, progress, random.Random(4))
    )


@pytest.mark.parametrize("typed, expected", [("1 3", {0, 2}), ("2,1", {0, 1}), ("a", {0, 1, 2}), ("", set())])
def test_ticks_are_read(typed, expected, capsys):
    lines = iter(["0 1", "4", "x", typed])
    assert practice.ticks(3, lambda prompt: next(lines)) == expected
    assert capsys.readouterr().out.count("看不懂") == 3


def test_asking_without_a_terminal_shows_everything_and_records_nothing(run, tmp_path):
    finished = run("ask", "focal", "--seed", "1", "-n", "2", env={"KATA_HOME": str(tmp_path)})
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("面試官會聽的重點") >= 1 and "1. " in finished.stdout and "出處" in finished.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text, said", [("soon", "看不懂日期"), ("2020-01-01", "不在明天到")])
def test_a_day_that_cannot_be_planned_for(run, tmp_path, text, said):
    finished = run("review", "--before", text, env={"KATA_HOME": str(tmp_path)})
    assert finished.returncode == 2 and said in finished.stderr and finished.stderr.count("\n") == 1


def test_a_review_names_what_is_due_and_plans(run, tmp_path):
    progress = Progress(tmp_path)
    review.rate(progress, "task:29", review.GOOD, datetime(2026, 1, 1, tzinfo=UTC))
    review.rate(progress, "task:999", review.GOOD, datetime(2026, 1, 1, tzinfo=UTC))  # of a later version
    environment = {"KATA_HOME": str(tmp_path)}
    today = run("review", env=environment)
    assert today.returncode == 0 and "kata reset 29" in today.stdout and "999" not in today.stdout
    assert "今天該複習" in run(env=environment).stdout
    day = datetime.now().date() + 3 * DAY
    planned = run("review", "--before", str(day), env=environment)
    assert planned.returncode == 0 and "29 focal_loss" in planned.stdout, planned.stderr


def test_reviewing_nothing(run, tmp_path):
    finished = run("review", env={"KATA_HOME": str(tmp_path)})
    assert finished.returncode == 0 and "沒有要複習的" in finished.stdout
    assert sys.getdefaultencoding() == "utf-8" and not list(tmp_path.iterdir())
