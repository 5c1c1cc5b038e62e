"""Speed relative to the reference: a count of the work first, then interleaved timings, minimum over minimum."""

from __future__ import annotations

import copy
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch_kata.checks import calls, learner, record
from torch_kata.checks.closeness import assert_close, plain_tensor
from torch_kata.checks.record import fail
from torch_kata.lazy import np, torch

WARMUPS = 2
PAIRS, FEWEST = 10, 3
SHORTEST = 0.5e-3  # seconds; shorter samples are made of several calls
MOST_CALLS = 1000  # in one sample
LONGEST = 3.0  # seconds that one check may take, twice that where the ratio is close to the budget
# Vectorised answers use 1 to 26 operators, loops over a thousand, so the gates can be wide.
MOST_OPERATORS, MOST_LINES, MOST_ELEMENTS = (64, 8), (200, 8), (10_000, 32)

# bound before any answer is imported, so that an answer which patches the module changes nothing here
_wall, _cpu = time.perf_counter, time.process_time


@dataclass
class Timing:
    """Seconds by the wall clock, less those in which other programs had the cores, and by CPU time."""

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
    start, threads = _wall(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        if record.current.bench:
            _compare_for_bench({"你的解": submission, "參考解": reference, "對照": baseline}, inputs)
            return
        contenders = _Pair(submission, reference, inputs, rtol, atol, compare)
        work = contenders.count(gate)
        with calls.paused():
            ratio = contenders.ratio(factor, start + LONGEST)
        record.current.ratio = round(ratio, 3)
        if torch.get_num_threads() != 1:
            fail("計時中改了 torch 的執行緒數（torch.set_num_threads）", "threads")
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
        cap = max(limits["ops"], limits["lines"] / 20) if gate else 20_000
        got, stopped = None, ""
        try:
            with calls.counted_work(files, cap) as work:
                got = [self.submission(*first[0])]
        except calls.TooMuchWork:
            stopped = "超過 "
        for key, name in names.items():
            if gate and work[key] > limits[key]:
                used = f"每次呼叫用了{stopped or ' '}{work[key]} {name}，參考解是 {allowed[key]}"
                fail(f"太慢：{used}；用向量化運算取代迴圈", {"work": _work_evidence(work)})
        if got is not None:
            self._verify(got, expected, first, second)
        return work

    def ratio(self, factor: float, deadline: float) -> float:
        """The submission's time over the reference's."""
        for _ in range(WARMUPS - 1):
            warmup = self._pair(1, flip=False)
            if warmup[0].wall > LONGEST and (hopeless := _ratio([warmup], "wall")) > 4 * factor:
                return hopeless
        once = min(_timed(self.reference, self._arguments(1)[1])[0].wall for _ in range(2))
        repeat = max(1, min(MOST_CALLS, math.ceil(SHORTEST / max(once, 1e-7))))
        blocks = [self._block(repeat, deadline, factor)]
        if any(abs(ratio - factor) < 0.25 * factor for ratio in blocks[0]):
            blocks += [self._block(repeat, deadline + LONGEST, factor) for _ in range(2)]
        wall, cpu = (statistics.median(ratios) for ratios in zip(*blocks, strict=True))
        # Where the clocks disagree, other programs took the cores: CPU time is what the code used. Unless it slept.
        return cpu if (cpu > factor) != (wall > factor) and wall < 2 * factor else wall

    def _block(self, repeat: int, deadline: float, factor: float) -> tuple[float, float]:
        """(wall ratio, CPU ratio) over ten interleaved pairs, fewer once the time is up."""
        pairs: list[tuple[Timing, Timing]] = []
        while len(pairs) < PAIRS:
            pairs.append(self._pair(repeat, flip=len(pairs) % 2 == 0))
            wall, cpu = _ratio(pairs, "wall"), _ratio(pairs, "cpu")
            if _wall() > deadline and (len(pairs) >= FEWEST or wall > 4 * factor):
                break
        return wall, cpu or wall

    def _pair(self, repeat: int, flip: bool) -> tuple[Timing, Timing]:
        """One sample of each, on copies of the same new inputs."""
        first, second = self._arguments(repeat)
        sides = [(self.submission, first), (self.reference, second)]
        results = [_timed(function, arguments) for function, arguments in (reversed(sides) if flip else sides)]
        (own, got), (theirs, expected) = reversed(results) if flip else results
        self._verify(got, expected, first, second)
        return own, theirs

    def _arguments(self, repeat: int) -> tuple[list[tuple], list[tuple]]:
        rounds = [self.inputs() for _ in range(repeat)]
        rounds = [arguments if isinstance(arguments, tuple) else (arguments,) for arguments in rounds]
        return rounds, [_copy(arguments) for arguments in rounds]

    def _verify(self, got: list, expected: list, first: list[tuple], second: list[tuple]) -> None:
        if not self.compare:
            return
        for a, e in zip(got, expected, strict=True):
            if e is not None:
                _assert_alike(a, e, self.rtol, self.atol, "計時中的輸出")
        for a, e in zip(_grads(first), _grads(second), strict=True):
            if e is not None:
                scale = float(e.abs().max()) if e.numel() else 1.0
                _assert_alike(a, e, self.rtol, self.rtol * (scale or 1.0), "計時中的梯度")


def _ratio(pairs: list[tuple[Timing, Timing]], clock: str) -> float:
    """The submission's least time over the reference's; 0 if the clock was too coarse to tell."""
    own, theirs = (min(getattr(timing, clock) for timing in side) for side in zip(*pairs, strict=True))
    return own / theirs if theirs > 0 else 0.0


def _assert_alike(actual: Any, expected: Any, rtol: float, atol: float, what: str) -> None:
    """assert_close, in a fraction of its time where all is well."""
    if isinstance(expected, torch.Tensor) and expected.is_floating_point():
        kinds = [(tensor.shape, tensor.dtype, tensor.device) for tensor in (plain_tensor(actual, what), expected)]
        if kinds[0] == kinds[1] and torch.allclose(actual, expected, rtol=rtol, atol=atol, equal_nan=True):
            return
    assert_close(actual, expected, rtol=rtol, atol=atol, what=what)


def _timed(function: Callable[..., Any], rounds: list[tuple]) -> tuple[Timing, list]:
    outputs = []
    if any(x.is_cuda for x in _tensors(rounds[0])):
        return _timed_on_cuda(function, rounds)
    waited, wall, cpu = _waited(), _wall(), _cpu()
    for arguments in rounds:
        outputs.append(function(*arguments))
    cpu, wall = _cpu() - cpu, _wall() - wall
    waited = _waited() - waited
    return Timing(max(wall - waited, cpu) if waited else wall, cpu), outputs


def _waited() -> float:
    """Seconds that this thread has stood ready to run while others had the cores; 0 where the system does not tell.

    Two programs on two cores make 0.36 to 2.8 of the ratio of equal code by wall clock; less this time, 0.7 to 1.2.
    """
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


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


def _copy(value: Any) -> Any:
    """Copies of the tensors, generators and modules in a call's arguments; of lists, tuples and dicts with them."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone(memory_format=torch.preserve_format).requires_grad_(value.requires_grad)
    if isinstance(value, torch.Generator):
        return torch.Generator(value.device).set_state(value.get_state())
    if isinstance(value, torch.nn.Module | np.ndarray):
        return copy.deepcopy(value)
    if isinstance(value, dict):
        return {key: _copy(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        parts = [_copy(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value


def _tensors(value: Any) -> list[torch.Tensor]:
    """The tensors in a call's arguments."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, torch.nn.Module):
        return list(value.parameters())
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _grads(rounds: list[tuple]) -> list:
    return [x.grad for x in _tensors(rounds) if x.requires_grad and x.is_leaf]


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
