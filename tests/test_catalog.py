"""The catalogue and its selections."""

import pytest

from torch_kata.catalog import Catalog, resolve_target
from torch_kata.errors import UsageError

CATALOG = Catalog()


def ids(*words, states=None):
    return [task.id for task in CATALOG.select(words, states)]


def test_a_selection_is_written_in_every_way():
    assert ids("29") == ids("t029") == ids("focal_loss") == ids("t029_focal_loss") == [29]
    assert ids("exercises/ch3_models/t029_focal_loss.py") == [29]
    assert ids("3-5") == [3, 4, 5]
    assert ids("5,3", "4") == [3, 4, 5]
    assert ids("ch1") == ids("ch1_basics") == list(range(1, 11))
    assert ids("all") == [task.id for task in CATALOG.tasks]


def test_a_selection_by_state():
    states = {1: "passed", 2: "failed"}
    assert ids("passed", states=states) == [1]
    assert ids("failed", states=states) == [2]
    assert 1 not in ids("todo", states=states) and 3 in ids("todo", states=states)


@pytest.mark.parametrize("word, said", [("focal_los", "focal_loss"), ("93", "92"), ("ch9", "ch9"), ("tood", "todo")])
def test_what_names_nothing_is_said_with_the_nearest_name(word, said):
    with pytest.raises(UsageError, match=said):
        ids(word)


def test_an_empty_selection_is_refused():
    with pytest.raises(UsageError, match="空的"):
        ids("passed")
    with pytest.raises(UsageError, match="空的"):
        ids()


def test_a_target_that_is_not_there(tmp_path):
    assert resolve_target(str(tmp_path)) == tmp_path.resolve()
    with pytest.raises(UsageError, match="nowhere"):
        resolve_target("nowhere")


def test_a_chapter_that_cannot_be_read(tmp_path):
    folder = tmp_path / "exercises" / "ch1_basics"
    folder.mkdir(parents=True)
    (folder / "chapter.toml").write_text("title = ", encoding="utf-8")
    with pytest.raises(UsageError, match="chapter.toml"):
        _ = Catalog(tmp_path).tasks
