"""Side effects and exceptions: what counts as a change, what does not, and what a failure says."""

import math
import os
import random
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from torch_kata.checks import Rng, effects, raises, same_random_state, same_seed, unchanged
from torch_kata.checks.record import CheckFailed


def says(message, *parts):
    """Whether all parts stand in the message, which is one line."""
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, (part, message)


def change(act, *objects):
    """The message when `act` is called with objects that must stay as they are; empty if they do."""
    try:
        with unchanged(*objects):
            act(*objects)
    except CheckFailed as error:
        return str(error)
    return ""


def graph(x):
    """Gives a leaf a gradient."""
    (x * 2).sum().backward()


# ── unchanged: tensors ──


@pytest.mark.parametrize(
    "act, parts",
    [
        (lambda x: x.add_(1), ["數值變了"]),
        (lambda x: x.data.mul_(1.000001), ["數值變了"]),
        (lambda x: x.numpy().fill(3), ["數值變了"]),
        (lambda x: x.requires_grad_(), ["requires_grad 由 False 變成 True"]),
        (lambda x: x.resize_(2), ["形狀或 dtype 變成 (2,)"]),
        (lambda x: x.unsqueeze_(0), ["變成 (1, 4)"]),
        (lambda x: setattr(x, "data", x.data.double()), ["torch.float64"]),
        (lambda x: x.__setitem__(1, 0.5), ["數值變了"]),  # NaN was there
        (lambda x: x.__setitem__(2, 3.4028234663852886e38), ["數值變了"]),  # inf was there
    ],
)
def test_changes_of_a_tensor(act, parts):
    says(change(act, torch.tensor([1.0, math.nan, math.inf, -2.0])), "輸入被改動了", *parts)


@pytest.mark.parametrize(
    "act",
    [
        lambda x: x + 1,
        lambda x: x.add_(1).sub_(1),
        lambda x: x.detach().clone().zero_(),
        lambda x: x.copy_(x.clone()),
        lambda x: x.requires_grad_().requires_grad_(False),
        lambda x: x.view(2, 2),
    ],
)
def test_what_leaves_a_tensor_as_it_was(act):
    assert change(act, torch.tensor([1.0, math.nan, math.inf, -2.0])) == ""


def test_gradients():
    fresh = torch.ones(2, requires_grad=True)
    says(change(graph, fresh), "grad 變了")
    says(change(graph, fresh), "grad 變了")  # added to what was there
    says(change(lambda x: setattr(x, "grad", None), fresh), "grad 變了")
    assert change(lambda x: torch.autograd.grad(x.sum(), x), fresh) == ""
    nan = torch.ones(1, requires_grad=True)
    nan.grad = torch.tensor([math.nan])
    assert change(lambda x: None, nan) == ""


@pytest.mark.filterwarnings("error")
def test_tensors_with_a_graph():
    x = torch.ones(2, requires_grad=True) * 2
    assert change(lambda x: x.sum().backward(), x) == ""


def test_complex_and_integers():
    z = torch.tensor([complex(math.nan, 1), 2j])
    assert change(lambda z: None, z) == ""
    says(change(lambda z: z.__setitem__(1, 3j), z), "數值變了")
    says(change(lambda x: x.clamp_(max=1), torch.tensor([1, 2])), "數值變了")


def test_the_changed_one_is_named():
    x, y = torch.ones(2), torch.ones(2)
    says(change(lambda x, y: y.zero_(), x, y), "第 2 個輸入被改動了")
    with pytest.raises(CheckFailed) as caught, unchanged(x, y):
        x.zero_()
    assert caught.value.evidence == "changed 0 數值變了"


def test_an_exception_of_the_block_comes_through():
    x = torch.ones(2)
    with pytest.raises(KeyError), unchanged(x):
        x.zero_()
        raise KeyError


# ── unchanged: modules ──


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))


@pytest.mark.parametrize(
    "act, parts",
    [
        (lambda m: m.eval(), ["Sequential.training 由 True 變成 False"]),
        (lambda m: m[2].eval(), ["2.training 由 True 變成 False"]),
        (lambda m: m(torch.randn(4, 2)), ["模型的 1.running_mean 數值變了"]),
        (lambda m: m(torch.randn(4, 2)).sum().backward(), ["grad 變了", "數值變了"]),
        (lambda m: m[0].requires_grad_(False), ["模型的 0.weight requires_grad 由 True 變成 False"]),
        (lambda m: nn.init.zeros_(m[0].bias), ["模型的 0.bias 數值變了"]),
        (lambda m: m.append(nn.Linear(1, 1)), ["3.bias 是多出來的"]),
        (lambda m: m.pop(1), ["1.bias 不見了"]),
        (lambda m: m.double(), ["0.weight", "torch.float64"]),
    ],
)
def test_changes_of_a_module(model, act, parts):
    message = change(act, model)
    says(message, "輸入被改動了")
    assert any(part in message for part in parts), message


def test_what_leaves_a_module_as_it_was(model):
    def evaluate(m):
        m.eval()
        with torch.no_grad():
            m(torch.randn(4, 2))
        m.train()

    assert change(evaluate, model) == ""
    assert change(lambda m: m.zero_grad(), model) == ""
    says(change(lambda m: [p.grad for p in m.parameters()] and m[0](torch.ones(1, 2)).sum().backward(), model), "grad")


def test_tied_weights():
    tied = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    says(change(lambda m: setattr(m[1], "weight", nn.Parameter(torch.zeros(2, 2))), tied), "1.weight")


# ── unchanged: containers and other objects ──


@pytest.mark.parametrize(
    "act",
    [
        lambda items: items.append(1),
        lambda items: items.pop(),
        lambda items: items.reverse(),
        lambda items: items.__setitem__(0, items[0].clone()),  # equal, but another tensor
        lambda items: items[0].zero_(),
        lambda items: items[1].update(b=2),
        lambda items: items[1]["a"].append(4),
        lambda items: items.__setitem__(2, True),
    ],
)
def test_changes_of_a_list(act):
    items = [torch.ones(2), {"a": [3]}, 1]
    says(change(act, items), "輸入被改動了")
    assert change(lambda items: items.__setitem__(2, 4 - 3), [torch.ones(2), {}, 1]) == ""


@pytest.mark.parametrize(
    "act, part",
    [
        (lambda batch: batch.pop("x"), "鍵變了"),
        (lambda batch: batch.update(z=1), "鍵變了"),
        (lambda batch: batch.update(x=batch["x"] * 1), "'x' 換成了別的值"),
        (lambda batch: batch["x"].zero_(), "'x' 的數值變了"),
        (lambda batch: batch["y"][0].zero_(), "'y' 的數值變了"),
    ],
)
def test_changes_of_a_dict(act, part):
    says(change(act, {"x": torch.ones(2), "y": (torch.ones(2), None)}), part)
    assert change(lambda batch: batch.update(x=batch["x"]), {"x": torch.ones(2)}) == ""
    assert change(lambda batch: batch.update(x=0.25 * 2), {"x": 0.5}) == ""


def test_the_same_tensor_twice_and_numbers_as_keys():
    x = torch.ones(2)
    says(change(lambda items: items[1].zero_(), [x, x]), "數值變了")
    assert change(lambda d: None, {1: x, x: 1}) == ""


def test_arrays():
    says(change(lambda a: a.fill(0), np.array([1.0, math.nan])), "數值變了")
    assert change(lambda a: a + 1, np.array([1.0, math.nan])) == ""
    assert change(lambda a: a, np.array(["a"])) == ""


def test_other_objects():
    @dataclass
    class Batch:
        x: torch.Tensor
        n: int = 0

    class Loose:
        def __init__(self):
            self.items = [1, torch.ones(2)]

    for item in (Batch(torch.ones(2)), Loose(), {1, 2}, "text", None, len, slice(1), object()):
        assert change(lambda item: None, item) == ""
    says(change(lambda batch: setattr(batch, "n", 1), Batch(torch.ones(2))), "'n'")
    says(change(lambda batch: batch.x.zero_(), Batch(torch.ones(2))), "'x' 的數值變了")
    says(change(lambda loose: loose.items.append(2), Loose()), "'items'")
    says(change(lambda numbers: numbers.add(3), {1, 2}), "內容變了")


def test_generators():
    generator = torch.Generator().manual_seed(1)
    assert change(lambda g: g.initial_seed(), generator) == ""
    says(change(lambda g: torch.rand(1, generator=g), generator), "數值變了")


# ── same_random_state ──


@pytest.mark.parametrize(
    "draw, name",
    [
        (lambda: torch.rand(1), "torch"),
        (lambda: torch.manual_seed(0), "torch"),
        (lambda: np.random.rand(), "numpy.random"),
        (lambda: random.random(), "random"),
    ],
)
def test_random_draws_are_seen(draw, name):
    with pytest.raises(CheckFailed, match=f"：{name}$"), same_random_state():
        draw()


def test_draws_from_own_generators():
    with same_random_state():
        torch.rand(1, generator=torch.Generator().manual_seed(0))
        np.random.default_rng(0).random()
        random.Random(0).random()
        with torch.random.fork_rng():
            torch.rand(1)
        state = torch.get_rng_state()
        torch.rand(1)
        torch.set_rng_state(state)


# ── same_seed ──


@pytest.mark.parametrize("reseed", [lambda: torch.manual_seed(0), lambda: torch.seed()])
def test_a_new_seed_is_seen(reseed):
    with pytest.raises(CheckFailed, match="^重設了全域亂數的種子"), same_seed(Rng([0], "cpu")):
        reseed()


def test_draws_keep_the_seed():
    with same_seed(Rng([0], "cpu")):
        torch.rand(1)
        with torch.random.fork_rng():
            torch.manual_seed(0)


# ── raises ──


def outcome(error, kind, *mentions):
    """What a block that raises `error` under raises(kind, *mentions) ends with."""
    try:
        with raises(kind, *mentions):
            if error:
                raise error
    except BaseException as caught:
        return caught
    return None


class Special(ValueError):
    pass


def test_promised_exceptions():
    assert outcome(ValueError("got 5"), ValueError) is None
    assert outcome(ValueError("got -5, 'x'"), ValueError, -5, "x") is None
    assert outcome(Special("a"), ValueError) is None
    assert outcome(KeyError("a"), (ValueError, KeyError), "a") is None
    assert outcome(SystemExit(2), SystemExit, 2) is None
    assert outcome(NotImplementedError("no"), NotImplementedError) is None


def test_other_outcomes():
    failed = outcome(None, (ValueError, KeyError))
    assert isinstance(failed, CheckFailed)
    says(str(failed), "應拋出 ValueError 或 KeyError", "沒有拋出")
    failed = outcome(TypeError("bad operand"), ValueError)
    says(str(failed), "應拋出 ValueError", "卻拋出 TypeError: bad operand")
    assert isinstance(failed.__cause__, TypeError)
    says(str(outcome(ValueError("bad"), Special)), "應拋出 Special，卻拋出 ValueError")
    says(str(outcome(ValueError("bad"), ValueError, "bad", -5)), "ValueError 的訊息應提到 -5", "「bad」")
    says(str(outcome(AssertionError(), ValueError)), "卻拋出 AssertionError")
    says(str(outcome(NotImplementedError("later"), ValueError)), "卻拋出 NotImplementedError: later")


def test_what_is_no_answer_comes_through():
    for error in (NotImplementedError("TODO 029"), KeyboardInterrupt(), SystemExit(1), CheckFailed("forbidden")):
        assert outcome(error, ValueError) is error
    todo = NotImplementedError("TODO 029")
    assert outcome(todo, NotImplementedError) is todo


# ── global settings ──


@pytest.mark.parametrize(
    "act, part",
    [
        (lambda: torch.set_default_dtype(torch.float64), "torch.get_default_dtype()"),
        (lambda: torch.set_grad_enabled(False), "torch.is_grad_enabled()"),
        (lambda: torch.set_num_threads(torch.get_num_threads() + 1), "torch.get_num_threads()"),
        (lambda: torch.set_default_device("meta"), "torch.get_default_device()"),
        (lambda: torch.use_deterministic_algorithms(True), "deterministic"),
        (lambda: torch.autograd.set_detect_anomaly(True), "anomaly"),
        (lambda: os.chdir("/"), "os.getcwd()"),
        (lambda: sys.setrecursionlimit(5000), "recursion"),
        (lambda: os.environ.update(KATA_TEST="1"), "環境變數 KATA_TEST 被改動了"),
        (lambda: os.environ.pop("PATH"), "環境變數 PATH 被改動了"),
    ],
)
def test_settings_are_seen_and_restored(act, part):
    before = effects.global_settings()
    assert effects.changed_setting(before) == ""
    act()
    says(effects.changed_setting(before), part)
    effects.restore_settings(before)
    assert effects.changed_setting(before) == "" and torch.ones(1).device.type == "cpu"


def test_figures_left_open(monkeypatch):
    figures = []
    pyplot = SimpleNamespace(get_fignums=lambda: figures, close=lambda which: figures.clear())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    before = effects.global_settings()
    figures.append(1)
    says(effects.changed_setting(before), "matplotlib")
    effects.restore_settings(before)
    assert effects.changed_setting(before) == ""
