"""Which known mistake a verdict is told, from made-up verdicts and replays."""

from types import SimpleNamespace

import pytest

from torch_kata.diagnosis import diagnose
from torch_kata.verdict import Check, Verdict

MISTAKES = """
[[mistake]]
why = "doubles"
find = "x"
replace = "2 * x"
caught_by = "test_value"

[[mistake]]
why = "doubles and forgets"
find = "x"
replace = "2 * x  # forgets"
caught_by = "test_value"

[[mistake]]
why = "negates"
find = "x"
replace = "-x"
caught_by = "test_sign"
"""


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "t.mistakes.toml"
    path.write_text(MISTAKES, encoding="utf-8")
    return SimpleNamespace(mistakes=path)


def number(value):
    """The evidence of a tensor that holds one number."""
    return {"shape": [], "dtype": "torch.float64", "values": [value]}


def check(name, evidence=None, outcome=None):
    return Check(name, "numeric", name, outcome or ("passed" if evidence is None else "failed"), evidence=evidence)


def verdict(*checks):
    return Verdict(1, "slug", "ch1_basics", "failed", 0.1, 7, "cpu", checks=list(checks))


def told(task, answer, replays):
    """What the failed checks of `answer` are told, where replaying each mistake gives these checks."""
    diagnose(task, answer, lambda mistake, names: {c.name: c for c in replays.get(mistake.why, [])})
    return [c.diagnosis for c in answer.failures]


def test_the_same_value_is_told(task):
    answer = verdict(check("test_value", number(2.5)), check("test_sign"))
    assert told(task, answer, {"doubles": [check("test_value", number(2.5))]}) == ["doubles"]


def test_another_value_is_not(task):
    answer = verdict(check("test_value", number(2.6)))
    assert told(task, answer, {"doubles": [check("test_value", number(2.5))]}) == [None]


def test_two_mistakes_with_one_value_are_told_apart_by_what_passes(task):
    answer = verdict(check("test_value", number(2.5)), check("test_memory"))
    forgets = [check("test_value", number(2.5)), check("test_memory", ["lost"])]
    replays = {"doubles": [check("test_value", number(2.5)), check("test_memory")], "doubles and forgets": forgets}
    assert told(task, answer, replays) == ["doubles"]


def test_a_replay_that_was_cut_off_proves_nothing(task):
    answer = verdict(check("test_value", number(2.5)), check("test_memory"))
    same = [check("test_value", number(2.5))]  # and not a word about test_memory
    assert told(task, answer, {"doubles": same, "doubles and forgets": same}) == [None]


def test_a_value_that_many_give_tells_nothing_unless_all_else_passes(task):
    answer = verdict(check("test_value", [2]), check("test_memory"))
    assert told(task, answer, {"doubles": [check("test_value", [2]), check("test_memory", ["lost"])]}) == [None]


def test_two_faults_in_one_answer_are_told_one_by_one(task):
    answer = verdict(check("test_value", number(2.5)), check("test_sign", number(-0.5)))
    replays = {
        "doubles": [check("test_value", number(2.5)), check("test_sign")],
        "negates": [check("test_value", number(-1.25)), check("test_sign", number(-0.5))],
    }
    assert told(task, answer, replays) == ["doubles", "negates"]


def test_a_stub_is_told_nothing(task):
    answer = verdict(check("test_value", number(2.5)), check("test_sign", outcome="todo"))
    assert told(task, answer, {"doubles": [check("test_value", number(2.5))]}) == [None]
