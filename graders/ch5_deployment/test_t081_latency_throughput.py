"""081 · 延遲和吞吐量：評分

The model sleeps by a script and keeps a record of its own times; an answer is judged against that record, not against
the script: what a machine under load adds to a sleep is in both. With both cores loaded, one sleep in thirty lasts 3 ms
longer, which blurs the record's percentiles; such a record does not count. In one of three that count an answer must be
right: what the machine adds between the model and the answer's clock is rare.
"""

import math
import statistics
from time import perf_counter, sleep
from types import SimpleNamespace

import pytest

from torch_kata.checks import assert_equal, assert_type, check, fail, nn, raises, shared_rng, torch, unchanged

SAMPLES = 37
RUNS, WARMUP = 100, 3  # of the scripted measurement
FIELDS = ["mean_ms", "p50_ms", "p95_ms", "p99_ms", "throughput"]
TOLERANCE = 0.15


def sleeper(device, script=()):
    """A model in train mode, with a frozen part; call i sleeps script[i] milliseconds. record holds seconds."""

    class Sleeper(nn.Module):
        record, seen = [], []  # the class's, so that a copy of the model writes there too

        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
            self.layers[1].eval()

        def forward(self, x):
            start = perf_counter()
            call = len(self.record)
            self.seen.append((tuple(x.shape), self.training or self.layers.training, torch.is_grad_enabled()))
            if call < len(script):
                sleep(script[call] / 1000)
            self.record.append(perf_counter() - start)
            return x

    return Sleeper().to(device)


def scripted(rng):
    """90 times 5 ms, 7 times 15, 3 times 50, in an order whose 50th, 95th and 99th tell nothing; warm-up before."""
    others = rng.numpy.permutation([5.0] * 85 + [15.0] * 6 + [50.0] * 1).tolist()
    for position, time in [(48, 50.0), (49, 50.0), (50, 15.0), *((place, 5.0) for place in (93, 94, 95, 97, 98))]:
        others.insert(position, time)  # where a percentile of an unsorted list is looked for
    return [100.0] * WARMUP + others


def bounds(record):
    """Least and greatest right value of each field: the neighbours of a percentile, for any way of interpolation."""
    ordered = sorted(1000 * seconds for seconds in record)

    def around(share):
        place = share * len(ordered)
        return ordered[max(math.floor(place) - 2, 0)], ordered[min(math.ceil(place), len(ordered) - 1)]

    mean = statistics.fmean(ordered)
    rate = SAMPLES * 1000 / mean
    return dict(zip(FIELDS, [(mean, mean), around(0.5), around(0.95), around(0.99), (rate, rate)], strict=True))


def is_clear(record):
    """Whether each percentile is the same by any definition, so that the record tells right from wrong."""
    return all(greatest < 1.1 * least for least, greatest in bounds(record).values())


def deviation(value, least, greatest):
    """By what factor a value lies outside its bounds; 1 inside."""
    return max(value / greatest, least / value, 1.0) if value > 0 else math.inf


def meaning(field, value, record, warmup):
    """What a value seems to be, in words that stay the same from run to run: evidence for the diagnosis."""
    if not (isinstance(value, float) and value > 0 and math.isfinite(value)):
        return f"{field} {value!r}"
    mean, spread, longest = statistics.fmean(record), statistics.pstdev(record), max(warmup, default=1e-9)
    figures = {str(share): sorted(record)[share - 1] for share in (50, 95, 99) if share <= len(record)}
    figures |= {"normal 95": mean + 1.645 * spread, "normal 99": mean + 2.326 * spread, "longest warm-up": longest}
    means = {"mean": mean, "mean with warm-up": statistics.fmean(warmup + record)}
    found = {}  # figures that are a quarter apart or more: which one is nearest does not depend on the load
    for unit, factor in (("us", 1e6), ("ms", 1e3), ("s", 1)):
        if field == "throughput":
            counts = {"calls": 1, "samples": SAMPLES, "samples of one call": SAMPLES / RUNS}
            found |= {f"{c} by {m} in {unit}": counts[c] / (means[m] * factor) for c in counts for m in means}
        else:
            found |= {f"{name} in {unit}": seconds * factor for name, seconds in (means | figures).items()}
    return f"{field} is " + min(found, key=lambda name: abs(math.log(found[name] / value)))


@pytest.fixture(scope="module")
def measured(submission, request):
    """A measurement by the script and the model's own record; the best one, until one is right or three are wrong."""
    rng, tries = shared_rng(request), []
    inputs = rng.normal((SAMPLES, 3))
    script = scripted(rng)
    while len(tries) < 6 and sum(each.clear for each in tries) < 3:
        model = sleeper(rng.device, script)
        with torch.enable_grad():  # whose end undoes what an answer leaves, so that the checks below see it do so
            report = submission.measure_performance(model, inputs, runs=RUNS, warmup=WARMUP)
        calls, warmup, record = len(model.record), model.record[:WARMUP], model.record[WARMUP:] or [math.nan]
        limits = bounds(record)
        values = {field: getattr(report, field, None) for field in FIELDS}
        numbers = {field: value if isinstance(value, float) else math.nan for field, value in values.items()}
        worst = max(deviation(numbers[field], *limits[field]) for field in FIELDS)
        clear = is_clear(record)
        tries.append(
            SimpleNamespace(
                report=report, calls=calls, warmup=warmup, record=record, limits=limits, clear=clear, worst=worst
            )
        )
        if (clear and worst <= 1 + TOLERANCE) or calls != WARMUP + RUNS:
            return tries[-1]
    counted = [each for each in tries if each.clear]
    return min(counted or tries, key=lambda each: each.worst)


def judge(field, value, least, greatest, seems):
    assert_type(value, float, what=field)
    if deviation(value, least, greatest) > 1 + TOLERANCE:
        unit = "samples/s" if field == "throughput" else "毫秒"
        fail(f"{field} 應約為 {least:.4g} {unit}，得到 {value:.4g}（容許 15%）", seems)


@pytest.mark.shape
def test_report(submission, measured):
    """傳回 PerfReport，欄位都是 float"""
    assert_type(measured.report, submission.PerfReport, what="結果")
    for field in FIELDS:
        assert_type(getattr(measured.report, field, None), float, what=field)


@pytest.mark.numeric
@pytest.mark.parametrize("field", FIELDS)
def test_value(measured, field):
    """與模型自己的紀錄相差不到 15%"""
    if measured.calls != WARMUP + RUNS:
        told = f"runs={RUNS}、warmup={WARMUP}，卻呼叫了模型 {measured.calls} 次，無法與紀錄比較"
        fail(told, f"{measured.calls} calls")
    value = getattr(measured.report, field)
    seems = meaning(field, value, measured.record, measured.warmup)
    judge(field, value, *measured.limits[field], seems)


@pytest.mark.numeric
def test_single_run(submission, rng, device):
    """runs 是 1 時，四個延遲都是那一次的時間"""
    inputs = rng.normal((SAMPLES, 3))
    for attempt in range(3):
        model = sleeper(device, [50.0])
        report = submission.measure_performance(model, inputs, runs=1, warmup=0)
        try:
            for field, limits in bounds(model.record or [math.nan]).items():
                judge(field, getattr(report, field), *limits, f"single {field}")
            return
        except AssertionError:
            if attempt == 2:
                raise


@pytest.mark.numeric
def test_one_slow_call(submission, rng, device):
    """200 次中一次很慢：算進平均與吞吐量，但不是 p99"""
    inputs, runs, warmup = rng.normal((SAMPLES, 3)), 200, 60
    script = [0.0] * (warmup + rng.integer(50, 150)) + [300.0]
    for attempt in range(3):
        model = sleeper(device, script)
        report = submission.measure_performance(model, inputs, runs=runs, warmup=warmup)
        limits = bounds(model.record[warmup:] or [math.nan])
        try:
            for field in ("mean_ms", "throughput"):
                judge(field, getattr(report, field), *limits[field], f"one slow call {field}")
            told = f"200 次中只有一次 300 毫秒，p99_ms 卻是 {report.p99_ms:.4g}：它不是最長的一次"
            check(report.p99_ms < 150, told, "longest")
            return
        except AssertionError:
            if attempt == 2:
                raise


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "settings", [{}, {"runs": 7, "warmup": 3}, {"runs": 4, "warmup": 0}], ids=["110", "7+3", "4+0"]
)
def test_calls(submission, rng, device, settings):
    """恰好呼叫 warmup + runs 次，每次給整個 inputs"""
    model, inputs = sleeper(device), rng.normal((SAMPLES, 3))
    submission.measure_performance(model, inputs, **settings)
    shapes = {shape for shape, _, _ in model.seen}
    check(shapes == {(SAMPLES, 3)}, f"每次應給模型 {(SAMPLES, 3)} 的 inputs，得到 {shapes}", f"shapes {shapes}")
    runs, warmup = settings.get("runs", 100), settings.get("warmup", 10)
    assert_equal(len(model.record), runs + warmup, what=f"runs={runs}、warmup={warmup} 時呼叫模型的次數")


@pytest.mark.behaviour
def test_evaluation(submission, rng, device):
    """呼叫時是 eval 模式、grad mode 關閉"""
    model = sleeper(device)
    submission.measure_performance(model, rng.normal((SAMPLES, 3)), runs=3, warmup=2)
    training, grad = (any(seen[i] for seen in model.seen) for i in (1, 2))
    evidence = f"training {training}, grad mode {grad}"
    check(not training, "呼叫時模型在 train 模式：量到的不是部署時的行為", evidence)
    check(not grad, "呼叫時 grad mode 是開的：多量了建計算圖的時間", evidence)


@pytest.mark.behaviour
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_unchanged(submission, rng, device, training):
    """模式還原，模型與 inputs 不變"""
    model, inputs = sleeper(device), rng.normal((SAMPLES, 3))
    if not training:
        model.eval()
    with unchanged(model, inputs):
        submission.measure_performance(model, inputs, runs=3, warmup=2)


@pytest.mark.behaviour
@pytest.mark.parametrize("runs", [0, -3])
def test_no_runs(submission, rng, device, runs):
    """runs 小於 1：ValueError"""
    with raises(ValueError, runs):
        submission.measure_performance(sleeper(device), rng.normal((2, 3)), runs=runs, warmup=1)


@pytest.mark.cuda
@pytest.mark.numeric
def test_asynchronous_work(submission, rng, device):
    """排進 CUDA 佇列的工作也算進去"""

    class Queue(nn.Module):
        def forward(self, x):
            for _ in range(20):
                x = x @ x / 4096
            return x

    x = rng.normal((4096, 4096))
    report = submission.measure_performance(Queue(), x, runs=5, warmup=2)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    with torch.no_grad():
        torch.cuda.synchronize()
        start.record()
        Queue()(x)
        end.record()
        torch.cuda.synchronize()
    needed, found = start.elapsed_time(end), report.p50_ms
    check(found > 0.6 * needed, f"p50_ms 應約為 {needed:.1f}，得到 {found:.2f}：沒有等 kernel 做完", "no synchronise")
