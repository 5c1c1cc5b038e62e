"""077 · 裝置上的推理時間：評分

The model sleeps by a script and keeps a record of its own times; an answer is judged against it: what a machine
under load adds to a sleep is in both. The middle of the record is far from its neighbours, and three measurements are
tried before an answer is refused. The record is no part of the module, so that a copy of the model writes there too.
"""

import math
import statistics
from time import perf_counter, sleep
from types import SimpleNamespace

import pytest

from torch_kata.checks import assert_equal, assert_type, check, fail, nn, raises, torch, unchanged

TOLERANCE = 0.15
WARMUP, ITERATIONS = 14, 13
WARM, SHORT, MIDDLE, LONG = 45.0, 5.0, 20.0, 150.0  # milliseconds; no trimmed mean is near MIDDLE


def sleeper(device, script=(), error_at=None):
    """A model in train mode with a frozen part, and what it notes; call i sleeps script[i] milliseconds."""
    notes = SimpleNamespace(seconds=[], calls=[])

    class Sleeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
            self.layers[1].eval()

        def forward(self, x):
            start, call = perf_counter(), len(notes.seconds)
            training = any(module.training for module in self.modules())
            notes.calls.append((tuple(x.shape), x.device.type, training, torch.is_grad_enabled()))
            if call < len(script):
                sleep(script[call] / 1000)
            if call == error_at:
                raise ArithmeticError("模型壞了")
            notes.seconds.append(perf_counter() - start)
            return x

    return Sleeper().to(device), notes


def meaning(value, counted, warmup):
    """What a value seems to be, in words that stay the same from run to run: evidence for the diagnosis."""
    if not (isinstance(value, float) and value > 0 and math.isfinite(value)):
        return repr(value)
    figures = {"mean": statistics.fmean, "median": statistics.median, "least": min, "most": max}
    seconds = {name: figure(counted) for name, figure in figures.items()}
    seconds["median with warm-up"] = statistics.median(warmup + counted)
    # A half apart or more: which one is nearest does not depend on the load.
    found = {f"{name} in {unit}": s * factor for name, s in seconds.items() for unit, factor in (("s", 1), ("ms", 1e3))}
    return min(found, key=lambda name: abs(math.log(found[name] / value)))


def judge(value, counted, warmup):
    """A time, against the record of the calls that count."""
    assert_type(value, float, what="中位數")
    expected = statistics.median(counted) if counted else math.nan
    if not abs(value - expected) <= TOLERANCE * expected:
        told = f"中位數應約為 {expected:.4g} 秒，得到 {value:.4g}（容許 15%）"
        fail(told, meaning(value, counted, warmup) if counted else "not called")


def best_of(tries, attempt):
    """The attempt's failure, if it fails every time."""
    for left in reversed(range(tries)):
        try:
            return attempt()
        except AssertionError:
            if not left:
                raise


@pytest.mark.numeric
def test_median(submission, rng, device):
    """傳回不計暖身的中位數，秒"""
    order = rng.numpy.permutation([SHORT] * 6 + [LONG] * 6).tolist()
    order.insert(rng.choice([1, 2, 3, 9, 10, 11]), MIDDLE)  # not where the median of an unsorted list is looked for
    inputs = rng.normal((5, 3))

    def attempt():
        model, notes = sleeper(device, [WARM] * WARMUP + order)
        value = submission.measure_inference_time(model, inputs, device=device, warmup=WARMUP, iterations=ITERATIONS)
        judge(value, notes.seconds[WARMUP:], notes.seconds[:WARMUP])

    best_of(3, attempt)


@pytest.mark.shape
@pytest.mark.parametrize("kind", ["string", "device"])
def test_type(submission, rng, device, kind):
    """device 是字串或 torch.device，傳回 float"""
    wanted = str(device) if kind == "string" else device
    value = submission.measure_inference_time(sleeper(device)[0], rng.normal((5, 3)), device=wanted, iterations=3)
    assert_type(value, float, what="結果")


@pytest.mark.behaviour
@pytest.mark.parametrize("warmup, iterations", [(None, None), (3, 7), (0, 4)], ids=["default", "3+7", "0+4"])
def test_calls(submission, rng, device, warmup, iterations):
    """恰好呼叫 warmup + iterations 次"""
    model, notes = sleeper(device)
    settings = {} if warmup is None else {"warmup": warmup, "iterations": iterations}
    submission.measure_inference_time(model, rng.normal((5, 3)), device=device, **settings)
    warmup, iterations = settings.get("warmup", 10), settings.get("iterations", 50)
    given = {(shape, kind) for shape, kind, _, _ in notes.calls}
    wanted = {((5, 3), device.type)}
    check(given == wanted, f"每次應給模型 {device.type} 上 (5, 3) 的 inputs，得到 {given}", f"inputs {given}")
    what = f"warmup={warmup}、iterations={iterations} 時呼叫模型的次數"
    assert_equal(len(notes.calls), warmup + iterations, what=what)


@pytest.mark.behaviour
def test_evaluation(submission, rng, device):
    """呼叫時是 eval 模式、grad mode 關閉"""
    model, notes = sleeper(device)
    submission.measure_inference_time(model, rng.normal((5, 3)), device=device, warmup=2, iterations=3)
    training, grad = (any(call[i] for call in notes.calls) for i in (2, 3))
    evidence = f"training {training}, grad mode {grad}"
    check(not training, "呼叫時模型在 train 模式：量到的不是部署時的行為", evidence)
    check(not grad, "呼叫時 grad mode 是開的：多量了建計算圖的時間", evidence)


@pytest.mark.behaviour
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_unchanged(submission, rng, device, training):
    """模式還原，模型與 inputs 不變"""
    model, inputs = sleeper(device)[0], rng.normal((5, 3))
    if not training:
        model.eval()
    with unchanged(model, inputs):
        submission.measure_inference_time(model, inputs, device=device, warmup=2, iterations=3)


@pytest.mark.behaviour
def test_unchanged_after_error(submission, rng, device):
    """模型拋出例外時模式也還原，例外照樣傳出去"""
    (model, _), inputs = sleeper(device, error_at=3), rng.normal((5, 3))
    with unchanged(model, inputs), raises(ArithmeticError):
        submission.measure_inference_time(model, inputs, device=device, warmup=2, iterations=5)


@pytest.mark.behaviour
def test_missing_device(submission, rng, device):
    """沒有的裝置：RuntimeError，模型不變"""
    missing = f"cuda:{torch.cuda.device_count() + 7}" if torch.cuda.is_available() else "cuda"
    (model, notes), inputs = sleeper(device), rng.normal((5, 3))
    with unchanged(model, inputs), raises(RuntimeError):
        submission.measure_inference_time(model, inputs, device=missing, warmup=1, iterations=2)
    check(not notes.calls, f"沒有 {missing}，卻在別的裝置上量了", "measured elsewhere")
    assert_equal(next(model.parameters()).device.type, device.type, what="之後模型的裝置")


@pytest.mark.shape
@pytest.mark.parametrize("given", [True, False], ids=["devices", "default"])
def test_compared_devices(submission, rng, device, given):
    """compare_devices 的鍵是 str(device)；預設是 cpu，有 CUDA 再加 cuda"""
    model = sleeper(device)[0]
    devices = ["cpu:0", torch.device("cpu")] if given else None
    expected = ["cpu:0", "cpu"] if given else ["cpu", *["cuda"] * torch.cuda.is_available()]
    inputs = rng.normal((5, 3))
    with unchanged(model, inputs):
        result = submission.compare_devices(model, inputs, *[devices] * given)
    assert_equal(list(result), expected, what="compare_devices 的鍵")


@pytest.mark.numeric
def test_compared_times(submission, rng, device):
    """compare_devices 的值是各裝置的秒數"""
    model, notes = sleeper(device, [8.0] * 60)
    result = submission.compare_devices(model, rng.normal((5, 3)), [device])
    assert_equal(len(notes.seconds), 60, what="以預設的 warmup、iterations 呼叫模型的次數")
    value, expected = result[str(device)], statistics.median(notes.seconds[10:])
    assert_type(value, float, what="compare_devices 的值")
    # Whether it is the median is test_median's business; here a factor of four is allowed, for any load.
    if not expected / 4 < value < 4 * expected:
        size = f"10^{round(math.log10(value / expected))}" if value > 0 else "not positive"
        fail(f"compare_devices 的值應約為 {expected:.4g} 秒，得到 {value:.4g}", size)


@pytest.mark.cuda
@pytest.mark.behaviour
def test_returns_to_its_device(submission, rng, device):
    """量完模型回到原來的裝置"""
    model, inputs = sleeper(device)[0], rng.normal((5, 3))
    for there, back in (("cpu", "cuda"), ("cuda", "cpu")):
        model.to(back)
        submission.measure_inference_time(model, inputs, device=there, warmup=1, iterations=2)
        assert_equal(next(model.parameters()).device.type, back, what=f"在 {there} 上量完之後模型的裝置")


@pytest.mark.cuda
@pytest.mark.numeric
def test_asynchronous_work(submission, rng, device):
    """排進 CUDA 佇列的工作也算進去"""

    class Queue(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(1 / 4096))

        def forward(self, x):
            for _ in range(20):
                x = x @ x * self.scale
            return x

    model, x = Queue().to(device), rng.normal((4096, 4096))
    found = submission.measure_inference_time(model, x, device=device, warmup=2, iterations=5)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    with torch.no_grad():
        torch.cuda.synchronize()
        start.record()
        model(x)
        end.record()
        torch.cuda.synchronize()
    needed = start.elapsed_time(end) / 1000
    check(found > 0.6 * needed, f"應約為 {needed:.3g} 秒，得到 {found:.3g}：沒有等 kernel 做完", "no synchronise")
