"""Speed relative to the reference: a count of the work first, then interleaved timings, minimum over minimum."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch_kata.checks import calls, learner, record
from torch_kata.checks.closeness import assert_close
from torch_kata.checks.record import fail
from torch_kata.lazy import torch

WARMUPS = 2
PAIRS = 10
SHORTEST = 0.5e-3  # seconds; shorter samples are made of several calls
LONGEST = 3.0  # seconds that one check may take
# Vectorised answers use 1 to 26 operators, loops over a thousand, so the gates can be wide.
MOST_OPERATORS, MOST_LINES, MOST_ELEMENTS = (64, 8), (200, 8), (10_000, 32)

# bound before any answer is imported, so that an answer which patches the module changes nothing here
_wall, _cpu = time.perf_counter, time.process_time


@dataclass
class Timing:
    wall: float
    cpu: float


def assert_within_budget(
    submission: Callable[..., Any],
    reference: Callable[..., Any],
    inputs: Callable[[], tuple],
    factor: float = 2.5,
    *,
    gate: bool = True,
    baseline: Callable[..., Any] | None = None,
    rtol: float = 1e-3,
    atol: float = 1e-4,
    compare: bool = True,
) -> None:
    """`submission` takes at most `factor` times as long as `reference` on the same inputs.

    `inputs()` makes the arguments of one call; every call gets new ones. Every timed output, and the gradients left on
    the arguments, are compared with the reference's within rtol and atol (unless `compare` is False: then the check
    itself must see to it). With `gate`, dispatched operators, written elements and Python lines are counted first and
    must be of the reference's order: that verdict is free of noise. Turn it off where a loop of few steps is right.
    `baseline` (a built-in, or a naive way) is only measured, for `kata bench`.
    Source of the method: graders.md; interleaved minimum over minimum misjudges under 1% under load.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if record.current.bench:
            _compare_for_bench({"你的解": submission, "參考解": reference, "對照": baseline}, inputs)
            return
        contenders = _Pair(submission, reference, inputs, rtol, atol, compare)
        work = contenders.count(gate)
        with calls.paused():
            ratio = contenders.ratio(factor)
        record.current.ratio = round(ratio, 3)
        if ratio > factor:
            fail(f"太慢：用了參考解的 {ratio:.1f} 倍時間，上限是 {factor:g} 倍", {"work": _work_evidence(work)})
    finally:
        torch.set_num_threads(threads)


class _Pair:
    """Submission and reference, run in turn on copies of the same inputs."""

    def __init__(self, submission, reference, inputs, rtol, atol, compare) -> None:  # noqa: ANN001
        self.submission, self.reference, self.inputs = submission, reference, inputs
        self.rtol, self.atol, self.compare = rtol, atol, compare

    def count(self, gate: bool) -> Counter[str]:
        """Warms both up, and holds the submission's work against the reference's."""
        first, second = self._arguments(1)
        files = learner.FILES | learner.REFERENCES
        with calls.counted_work(files) as allowed:
            expected = [self.reference(*second[0])]
        limits = {
            key: base + factor * allowed[key]
            for key, (base, factor) in {"ops": MOST_OPERATORS, "lines": MOST_LINES, "elements": MOST_ELEMENTS}.items()
        }
        names = {"ops": "個 torch 運算", "lines": "行 Python", "elements": "個元素寫入記憶體"}
        cap = max(limits["ops"], limits["lines"] / 20) if gate else 200_000
        try:
            with calls.counted_work(files, cap) as work:
                got = [self.submission(*first[0])]
        except calls.TooMuchWork:
            got = None
        for key, name in names.items():
            if gate and work[key] > limits[key]:
                excess = f"太慢：每次呼叫用了 {work[key]} {name}，參考解是 {allowed[key]}；用向量化運算取代迴圈"
                fail(excess, {"work": _work_evidence(work)})
        if got is not None:
            self._verify(got, expected, first, second)
        for _ in range(WARMUPS - 1):
            first, second = self._arguments(1)
            self._verify(_timed(self.submission, first)[1], _timed(self.reference, second)[1], first, second)
        return work

    def ratio(self, factor: float) -> float:
        """The submission's time over the reference's."""
        _, second = self._arguments(1)
        once = max(_timed(self.reference, second)[0].wall, 1e-6)
        repeat = max(1, min(200, round(SHORTEST / once + 0.5)))
        deadline = _wall() + LONGEST
        blocks = [self._block(repeat, deadline)]
        if abs(_decided(blocks[0]) - factor) < 0.25 * factor:
            blocks += [self._block(repeat, deadline), self._block(repeat, deadline)]
        ratio = statistics.median(block[0] for block in blocks)
        if ratio > factor and statistics.median(block[1] for block in blocks) <= factor and ratio < 2 * factor:
            # Wall clock alone is over the budget: other programs took the cores. CPU time is what the code used.
            ratio = statistics.median(block[1] for block in blocks)
        return ratio

    def _block(self, repeat: int, deadline: float) -> tuple[float, float]:
        """(wall ratio, CPU ratio) over ten interleaved pairs, fewer once the time is up."""
        samples: dict[str, list[Timing]] = {"submission": [], "reference": []}
        for number in range(PAIRS):
            first, second = self._arguments(repeat)
            order = [("submission", self.submission, first), ("reference", self.reference, second)]
            outputs = {}
            for name, function, arguments in order if number % 2 else reversed(order):
                timing, outputs[name] = _timed(function, arguments)
                samples[name].append(timing)
            self._verify(outputs["submission"], outputs["reference"], first, second)
            if _wall() > deadline and number >= 2:
                break
        return tuple(
            min(getattr(t, clock) for t in samples["submission"])
            / max(min(getattr(t, clock) for t in samples["reference"]), 1e-9)
            for clock in ("wall", "cpu")
        )

    def _arguments(self, repeat: int) -> tuple[list[tuple], list[tuple]]:
        rounds = [self.inputs() for _ in range(repeat)]
        rounds = [arguments if isinstance(arguments, tuple) else (arguments,) for arguments in rounds]
        return rounds, [_copy(arguments) for arguments in rounds]

    def _verify(self, got: list, expected: list, first: list[tuple], second: list[tuple]) -> None:
        if not self.compare:
            return
        for a, e in zip(got, expected, strict=True):
            if e is not None:
                assert_close(a, e, rtol=self.rtol, atol=self.atol, what="計時中的輸出")
        for a, e in zip(_grads(first), _grads(second), strict=True):
            if e is not None:
                scale = float(e.abs().max()) or 1.0
                assert_close(a, e, rtol=self.rtol, atol=self.rtol * scale, what="計時中的梯度")


def _timed(function: Callable[..., Any], rounds: list[tuple]) -> tuple[Timing, list]:
    outputs = []
    on_cuda = any(isinstance(x, torch.Tensor) and x.is_cuda for x in rounds[0])
    if on_cuda:
        return _timed_on_cuda(function, rounds)
    cpu, wall = _cpu(), _wall()
    for arguments in rounds:
        outputs.append(function(*arguments))
    return Timing(_wall() - wall, _cpu() - cpu), outputs


def _timed_on_cuda(function: Callable[..., Any], rounds: list[tuple]) -> tuple[Timing, list]:
    """Events with a synchronise inside the interval; the L2 cache is flushed before."""
    torch.empty(64 * 2**20, dtype=torch.int8, device="cuda").zero_()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    wall = _wall()
    start.record()
    outputs = [function(*arguments) for arguments in rounds]
    torch.cuda.synchronize()
    end.record()
    torch.cuda.synchronize()
    # CPU time says nothing about a device: the events take its place.
    return Timing(_wall() - wall, start.elapsed_time(end) / 1e3), outputs


def _copy(arguments: tuple) -> tuple:
    return tuple(
        x.detach().clone(memory_format=torch.preserve_format).requires_grad_(x.requires_grad)
        if isinstance(x, torch.Tensor)
        else x
        for x in arguments
    )


def _grads(rounds: list[tuple]) -> list:
    return [x.grad for arguments in rounds for x in arguments if isinstance(x, torch.Tensor) and x.requires_grad]


def _decided(block: tuple[float, float]) -> float:
    return min(block)


def _work_evidence(work: Counter[str]) -> str:
    """What was done, as text: the same operators, as often. Lines are left out: another style has others."""
    return " ".join(f"{name}={work[name]}" for name in sorted(work) if name != "lines")


def _compare_for_bench(contenders: dict[str, Callable | None], inputs: Callable[[], tuple]) -> None:
    """Interleaved times of all contenders, into the check's record."""
    there = {name: function for name, function in contenders.items() if function}
    times: dict[str, list[float]] = {name: [] for name in there}
    deadline = _wall() + LONGEST
    with calls.paused():
        for number in range(WARMUPS + 3 * PAIRS):
            arguments = inputs()
            arguments = arguments if isinstance(arguments, tuple) else (arguments,)
            for name, function in there.items():
                timing, _ = _timed(function, [_copy(arguments)])
                if number >= WARMUPS:
                    times[name].append(timing.wall)
            if _wall() > deadline and number > WARMUPS:
                break
    record.current.timings = times
