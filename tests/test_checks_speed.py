"""Speed relative to a reference: what is refused by counting, what by timing, and what is checked beside the time.

Decisions by time are tried on a clock of the test's own, which only the contenders move; the machine may be busy.
"""

import contextlib
import os
import time
from collections import namedtuple

import numpy as np
import pytest
import torch
from torch import nn

from torch_kata.checks import assert_within_budget, calls, learner, record, speed
from torch_kata.checks.record import CheckFailed

SIZES = (64, 32)


def refusal(function, *arguments, **keywords):
    """The message of the failure that a call must end with."""
    with pytest.raises(CheckFailed) as caught:
        function(*arguments, **keywords)
    return str(caught.value)


def says(message, *parts):
    """Whether all parts stand in the message, which is one line."""
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, (part, message)


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    """This file stands for the learner's, and the record is new."""
    monkeypatch.setattr(learner, "FILES", {__file__})
    monkeypatch.setattr(record, "current", record.Record())
    return record


def inputs():
    return (torch.randn(SIZES),)


def reference(x):
    return (x * x).sum(-1)


def loop(x):
    return torch.stack([(row * row).sum() for row in x])


class Clock:
    """A wall clock and a CPU clock that stand still but for what the contenders take."""

    def __init__(self, monkeypatch):
        self.wall = self.cpu = self.waited = 1.0
        self.noise, self.calls = lambda number: 1.0, []
        monkeypatch.setattr(speed, "_wall", lambda: self.wall)
        monkeypatch.setattr(speed, "_cpu", lambda: self.cpu)
        monkeypatch.setattr(speed, "_waited", lambda: self.waited)

    def taking(self, seconds, cpu=None, name=""):
        """A contender that takes so long a call."""

        def function(x):
            self.calls.append(name)
            self.wall += seconds * self.noise(len(self.calls))
            self.cpu += seconds if cpu is None else cpu
            return x

        return function


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


# ── the gate ──


def test_equal_code_is_accepted():
    assert_within_budget(reference, reference, inputs)
    assert 0 < record.current.ratio <= 2.5


def test_other_vectorised_code_is_accepted():
    assert_within_budget(lambda x: torch.einsum("ij,ij->i", x, x), reference, inputs, factor=100)
    assert_within_budget(
        lambda x: torch.stack([row @ row for row in x[:3]]).sum() * 0 + reference(x), reference, inputs, 100
    )


def test_a_loop_is_refused_by_its_operators():
    message = refusal(assert_within_budget, loop, reference, inputs, 1e9)
    says(message, "太慢", "個 torch 運算", "參考解是 2", "超過", "向量化")
    assert record.current.ratio is None


def test_a_loop_over_python_numbers_is_refused_by_its_lines():
    def plain(x):
        sums = []
        for row in x.tolist():
            total = 0.0
            for value in row:
                total += value * value
            sums.append(total)
        return torch.tensor(sums)

    says(refusal(assert_within_budget, plain, reference, inputs, 1e9), "行 Python", "參考解是 1")


def test_a_large_intermediate_is_refused_by_its_elements():
    def all_pairs(x):
        return (x.unsqueeze(1) * x.unsqueeze(0)).sum(-1).diagonal()

    message = refusal(assert_within_budget, all_pairs, reference, lambda: (torch.randn(256, 32),), 1e9)
    says(message, "個元素寫入記憶體", "參考解是 8448")


def test_an_endless_loop_is_stopped_by_the_gate():
    def endless(x):
        while True:
            x = x + 1

    says(refusal(assert_within_budget, endless, reference, inputs), "超過 81 個 torch 運算")

    def idle(x):
        while True:
            pass

    says(refusal(assert_within_budget, idle, reference, inputs), "行 Python")


def test_an_answer_that_swallows_the_stop_is_refused_all_the_same():
    def swallows(x):
        for _ in range(500):
            with contextlib.suppress(Exception):
                x = x + 1
        return x

    says(refusal(assert_within_budget, swallows, reference, inputs), "個 torch 運算")


def test_without_the_gate_a_loop_is_judged_by_time(clock):
    def steps(x):
        for _ in range(300):
            x = x + 0
        clock.wall, clock.cpu = clock.wall + 2e-3, clock.cpu + 2e-3
        return x

    assert_within_budget(steps, clock.taking(1e-3), inputs, gate=False)
    assert record.current.ratio == 2.0
    says(refusal(assert_within_budget, steps, clock.taking(0.5e-3), inputs, gate=False), "4.0 倍")


def test_evidence_is_what_was_done():
    evidence = []
    for limit in (1e-9, 2e-9):
        with pytest.raises(CheckFailed) as caught:
            assert_within_budget(reference, reference, inputs, limit)
        evidence.append(caught.value.evidence)
    assert evidence[0] == evidence[1]
    assert "aten::mul.Tensor=1" in str(evidence[0]) and "lines" not in str(evidence[0])


# ── time ──


@pytest.mark.parametrize("ratio, accepted", [(1.0, True), (2.4, True), (2.6, False), (5.0, False), (500.0, False)])
def test_the_budget(clock, ratio, accepted):
    contenders = clock.taking(1e-3 * ratio), clock.taking(1e-3)
    if accepted:
        assert_within_budget(*contenders, inputs)
    else:
        message = refusal(assert_within_budget, *contenders, inputs)
        says(message, "太慢：用了參考解的", f"{ratio:.1f} 倍", "上限是 2.5 倍")
    assert record.current.ratio == ratio


def test_real_code_that_is_much_slower_is_refused():
    def slow(x):
        return torch.linalg.inv(x @ x.T + torch.eye(len(x)))[0, :1] * 0 + reference(x)

    says(
        refusal(assert_within_budget, slow, reference, lambda: (torch.randn(256, 4),), gate=False), "太慢", "上限是 2.5"
    )
    assert record.current.ratio > 5


def test_disturbed_samples_do_not_count(clock):
    """Every third call takes 20 times as long: the least of ten is free of that."""
    clock.noise = lambda number: 20.0 if number % 3 == 0 else 1.0
    assert_within_budget(clock.taking(2e-3), clock.taking(1e-3), inputs)
    assert record.current.ratio == pytest.approx(2.0)
    refusal(assert_within_budget, clock.taking(4e-3), clock.taking(1e-3), inputs)


def test_wall_clock_over_and_processor_time_under_the_budget(clock):
    """Other programs had the cores; but code that waits, far over the budget, is slow."""
    assert_within_budget(clock.taking(4e-3, cpu=2e-3), clock.taking(1e-3), inputs)
    assert record.current.ratio == 2.0
    refusal(assert_within_budget, clock.taking(4e-3, cpu=3e-3), clock.taking(1e-3), inputs)
    refusal(assert_within_budget, clock.taking(6e-3, cpu=1e-3), clock.taking(1e-3), inputs)


def test_time_that_other_programs_had(clock):
    """Equal code, of which one was kept from the cores."""

    def kept_waiting(x):
        clock.wall += 10e-3
        clock.waited += 9e-3
        clock.cpu += 1e-3
        return x

    assert_within_budget(kept_waiting, clock.taking(1e-3), inputs)
    assert record.current.ratio == pytest.approx(1.0)
    refusal(assert_within_budget, clock.taking(4e-3), kept_waiting, inputs)
    assert record.current.ratio == pytest.approx(4.0)

    def sleeps(x):
        clock.waited += 9e-3
        return clock.taking(10e-3 + 9e-3, cpu=1e-3)(x)

    refusal(assert_within_budget, sleeps, clock.taking(1e-3), inputs)
    assert record.current.ratio == pytest.approx(10.0)


@pytest.mark.skipif(not os.path.exists("/proc/thread-self/schedstat"), reason="the system does not tell")
def test_waiting_for_the_cores_is_told_from_sleep():
    before, start = speed._waited(), time.perf_counter()
    time.sleep(0.05)
    assert time.perf_counter() - start - (speed._waited() - before) > 0.049


def test_a_clock_that_does_not_tick(clock):
    refusal(assert_within_budget, clock.taking(4e-3, cpu=0), clock.taking(1e-3, cpu=0), inputs)
    assert_within_budget(clock.taking(2e-3, cpu=0), clock.taking(1e-3, cpu=0), inputs)


def test_close_to_the_budget_it_is_measured_three_times(clock):
    def pairs(ratio, spread=lambda number: 1.0):
        clock.calls.clear()
        clock.noise = spread
        contenders = clock.taking(1e-3 * ratio, name="own"), clock.taking(1e-3, name="theirs")
        try:
            assert_within_budget(*contenders, inputs, 3)
        except CheckFailed:
            return clock.calls.count("own"), False
        return clock.calls.count("own"), True

    warm_ups = speed.WARMUPS
    assert pairs(2.0) == (warm_ups + 10, True)
    assert pairs(2.9) == (warm_ups + 30, True)
    assert pairs(3.2) == (warm_ups + 30, False)
    assert pairs(5.0) == (warm_ups + 10, False)
    # One block of the three is off: the median of them decides.
    assert pairs(2.6, lambda number: 1.3 if number < 26 and clock.calls[-1] == "own" else 1.0) == (warm_ups + 30, True)


def test_order_alternates(clock):
    assert_within_budget(clock.taking(1e-3, name="own"), clock.taking(1e-3, name="theirs"), inputs)
    timed = clock.calls[-20:]
    assert timed[:8] == ["theirs", "own", "own", "theirs", "theirs", "own", "own", "theirs"]


@pytest.mark.parametrize(
    "seconds, repeat", [(2e-3, 1), (0.51e-3, 1), (0.9e-4, 6), (3.01e-6, 167), (1e-8, speed.MOST_CALLS)]
)
def test_samples_are_of_half_a_millisecond(clock, monkeypatch, seconds, repeat):
    samples, timed = [], speed._timed
    monkeypatch.setattr(speed, "_timed", lambda f, rounds: samples.append(len(rounds)) or timed(f, rounds))
    x = torch.ones(1)
    assert_within_budget(clock.taking(seconds), clock.taking(seconds), lambda: (x,), compare=False)
    assert samples[-20:] == [repeat] * 20


def test_at_most_three_seconds(clock):
    start = clock.wall
    assert_within_budget(clock.taking(0.2), clock.taking(0.2), inputs)
    assert clock.wall - start < 4.5 and record.current.ratio == 1.0
    start = clock.wall
    refusal(assert_within_budget, clock.taking(2.0), clock.taking(0.01), inputs, gate=False)
    assert clock.wall - start < 3 * 2.0 + 1


def test_real_time_of_a_check():
    start = time.process_time()
    assert_within_budget(reference, reference, lambda: (torch.randn(300_000, 2),))
    assert time.process_time() - start < 4


# ── what is checked beside the time ──


def test_every_timed_output_is_checked(clock):
    def forgetful(limit, wrong):
        count = []

        def function(x):
            count.append(1)
            clock.wall += 1e-3
            return wrong(x) if len(count) > limit else x

        return function

    for limit in (0, 1, 2, 5, 11):
        message = refusal(assert_within_budget, forgetful(limit, lambda x: x + 1), clock.taking(1e-3), inputs)
        says(message, "計時中的輸出不符")
    for wrong, part in [
        (lambda x: None, "應為 torch.Tensor，得到 NoneType"),
        (lambda x: x[:1], "形狀應為 (64, 32)，得到 (1, 32)"),
        (lambda x: x * float("nan"), "nan"),
        (lambda x: x.tolist(), "list"),
        (lambda x: x.to("meta"), "meta"),
    ]:
        says(refusal(assert_within_budget, forgetful(4, wrong), clock.taking(1e-3), inputs), part)
    assert_within_budget(forgetful(4, lambda x: None), clock.taking(1e-3), inputs, compare=False)


def test_a_remembered_output_is_found():
    kept = {}

    def cached(x):
        return kept.setdefault(x.shape, reference(x))

    says(refusal(assert_within_budget, cached, reference, inputs), "計時中的輸出不符")


def test_tolerance_of_the_outputs(clock):
    contenders = (lambda x: clock.taking(1e-3)(x) * (1 + 5e-4)), clock.taking(1e-3)
    assert_within_budget(*contenders, inputs)
    says(refusal(assert_within_budget, *contenders, inputs, rtol=1e-5, atol=1e-5), "rtol=1e-05")
    assert_within_budget(
        lambda x: [clock.taking(1e-3)(x), 1], lambda x: (x, clock.taking(1e-3)(x) is x), inputs, compare=False
    )


def step(scale, clock):
    def function(x, *others):
        clock.wall += 1e-3
        (x.square().sum() * scale).backward()

    return function


def test_gradients_left_on_the_inputs_are_compared(clock):
    make = lambda: (torch.randn(3, 4, requires_grad=True),)
    assert_within_budget(step(1, clock), step(1, clock), make)
    says(refusal(assert_within_budget, step(1.1, clock), step(1, clock), make), "計時中的梯度不符")
    says(refusal(assert_within_budget, clock.taking(1e-3), step(1, clock), make), "計時中的梯度", "NoneType")
    nested = lambda: ([torch.randn(3, requires_grad=True)], {"a": torch.randn(2, requires_grad=True)})
    own = lambda factor: lambda xs, d: step(1, clock)(xs[0]) or step(factor, clock)(d["a"])
    assert_within_budget(own(1), own(1), nested)
    says(refusal(assert_within_budget, own(2), own(1), nested), "計時中的梯度不符")


def test_contenders_get_copies_of_their_own(clock):
    Pair = namedtuple("Pair", "x y")
    make = lambda: (
        torch.ones(2),
        [torch.ones(2)],
        Pair(torch.ones(1), 1),
        nn.Linear(1, 1),
        torch.Generator().manual_seed(3),
        np.ones(2),
    )

    def spoils(x, xs, pair, layer, generator, array):
        clock.wall += 1e-3
        values = [x.clone(), xs[0].clone(), pair.x.clone(), layer.weight.detach().clone(), torch.tensor(array)]
        for tensor in (x, xs[0], pair.x, layer.weight.data):
            tensor.mul_(2)
        array *= 2
        xs.append(0)
        assert len(xs) == 2
        return values, torch.rand(3, generator=generator)

    assert_within_budget(spoils, spoils, make)


def test_new_inputs_for_every_call(clock):
    seen = []

    def make():
        seen.append(torch.randn(2))
        return (seen[-1],)

    assert_within_budget(clock.taking(1e-4), clock.taking(1e-4), make)
    assert len(seen) > 10 * 5 and len({tuple(x.tolist()) for x in seen}) == len(seen)
    assert_within_budget(clock.taking(1e-3), clock.taking(1e-3), lambda: torch.randn(2))  # one argument, no tuple


def test_threads_are_one_and_restored(clock):
    before, found = torch.get_num_threads(), set()
    torch.set_num_threads(2)
    try:
        assert_within_budget(
            lambda x: found.add(torch.get_num_threads()) or clock.taking(1e-3)(x), clock.taking(1e-3), inputs
        )
        assert found == {1} and torch.get_num_threads() == 2
        refusal(assert_within_budget, loop, reference, inputs)
        assert torch.get_num_threads() == 2
        greedy = lambda x: torch.set_num_threads(2) or clock.taking(1e-3)(x)
        says(refusal(assert_within_budget, greedy, clock.taking(1e-3), inputs), "執行緒數")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_exceptions_of_the_answer_come_through():
    def broken(x):
        raise KeyError("a")

    with pytest.raises(KeyError):
        assert_within_budget(broken, reference, inputs)


def test_forbidden_calls_are_refused_while_counting_and_not_watched_while_timing():
    watched = []

    def own(x):
        watched.append(torch._C._len_torch_function_stack())
        return reference(x)

    with calls.guarded(("torch.cdist", "F.gelu")):
        assert_within_budget(own, reference, inputs, factor=100)
        says(refusal(assert_within_budget, lambda x: torch.cdist(x, x), reference, inputs), "禁用 torch.cdist")
    assert watched[0] == 1 and watched[-1] == 0


# ── for kata bench ──


def test_bench_measures_and_judges_nothing(monkeypatch):
    record.current.bench = True
    monkeypatch.setattr(speed, "LONGEST", 0.3)
    assert_within_budget(loop, reference, inputs, baseline=lambda x: torch.einsum("ij,ij->i", x, x))
    assert list(record.current.timings) == ["你的解", "參考解", "對照"]
    assert all(len(times) >= 1 and min(times) > 0 for times in record.current.timings.values())
    assert len({len(times) for times in record.current.timings.values()}) == 1
    assert_within_budget(loop, reference, inputs)
    assert list(record.current.timings) == ["你的解", "參考解"]
