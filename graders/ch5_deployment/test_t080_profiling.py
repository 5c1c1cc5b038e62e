"""080 · torch.profiler：評分

The model's operators are the grader's own, and their cost is known because they sleep and note for how long. By self
time: slow (one call, 50 ms), often (three calls of 7 ms), rare (one call of 12 ms), shell (calls slow, does nothing
else). Ranked by total time the shell is first, by the number of calls it is often, by the mean rare is before often.
"""

import json
import math
import statistics
from time import perf_counter, sleep
from types import SimpleNamespace

import pytest

from torch_kata.checks import assert_equal, assert_type, check, fail, nn, shared_rng, torch, unchanged

NAMESPACE = "kata_t080"
SLEEPS = {"slow": 0.050, "often": 0.007, "rare": 0.012}
PER_FORWARD = {"shell": 1, "slow": 1, "often": 3, "rare": 1}
BY_SELF_TIME = ["slow", "often", "rare", "shell"]
STEPS = 4
TOLERANCE = 0.15
NOTES: dict[str, list[float]] = {}
SPEED = {"factor": 1.0}  # 0 in checks that do not look at times


@pytest.fixture(scope="module", autouse=True)
def quiet_profiler():
    """The profiler's library tells on stderr where no GPU is; not to the learner.

    with_stack counts a sleep as the Python function's and leaves nothing to the grader's operators, which are written
    in Python as no real one is: it is taken off, so that an answer may ask for it.
    """
    start = torch.profiler.profile.__init__
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KINETO_LOG_LEVEL", "99")
        patch.setattr(torch.profiler.profile, "__init__", lambda *a, **k: start(*a, **{**k, "with_stack": False}))
        yield


@pytest.fixture(scope="module")
def operators():
    """The namespace of the grader's operators, on any device."""
    from torch import library

    definitions = library.Library(NAMESPACE, "DEF")

    def sleeping(name):
        def operator(x):
            start = perf_counter()
            sleep(SLEEPS[name] * SPEED["factor"])
            NOTES.setdefault(name, []).append(perf_counter() - start)
            return torch.empty_like(x)

        return operator

    implementations = {name: sleeping(name) for name in SLEEPS}
    implementations["shell"] = lambda x: getattr(torch.ops, NAMESPACE).slow(x)
    for name, implementation in implementations.items():
        definitions.define(f"{name}(Tensor x) -> Tensor")
        definitions.impl(name, implementation, "CompositeExplicitAutograd")
    yield getattr(torch.ops, NAMESPACE)
    definitions._destroy()


def network(operators, device):
    """A model in train mode with a frozen part; seen notes (training, grad mode) of every call."""

    class Network(nn.Module):
        seen = []  # the class's, so that a copy of the model writes there too

        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
            self.layers[1].eval()

        def forward(self, x):
            training = any(module.training for module in self.modules())
            self.seen.append((training, torch.is_grad_enabled()))
            x = self.layers(x)
            for name, times in PER_FORWARD.items():
                for call in range(times if name != "slow" else 0):  # the shell calls it
                    getattr(operators, name)(x.detach()[call % 2 :])  # two shapes: still one operator
            return x

    return Network().to(device)


@pytest.fixture(scope="module")
def profiled(submission, operators, request, tmp_path_factory):
    """One profile of four steps with a trace, and what the operators noted; up to three, of which one must be right.

    A machine under load can take the core in the middle of any operator, for longer than slow sleeps.
    """
    rng, folder = shared_rng(request), tmp_path_factory.mktemp("profile")
    inputs, tries = rng.normal((6, 3)), []
    SPEED["factor"] = 1.0
    for attempt in range(3):
        path, model = folder / f"trace{attempt}.json", network(operators, rng.device)
        NOTES.clear()
        with torch.enable_grad():  # whose end undoes what an answer leaves, so that the checks below see it do so
            stats = submission.profile_model(model, inputs, steps=STEPS, trace_path=str(path), top_k=1000)
        noted = {name: sum(NOTES.get(name, [math.nan])[-PER_FORWARD[name] * STEPS :]) for name in SLEEPS}
        tries.append(SimpleNamespace(stats=stats, path=path, noted=noted, forwards=len(model.seen)))
        if not stats or not (wrong_order(tries[-1]) or wrong_times(tries[-1])):
            break
    return SimpleNamespace(**vars(tries[-1]), tries=tries)


def judge_all(tries, judge):
    """Fails if `judge` finds fault with every try, for the commonest reason (message, evidence)."""
    faults = [judge(each) for each in tries]
    if all(faults):
        evidence = statistics.mode(evidence for _, evidence in faults)
        fail(*next(fault for fault in faults if fault[1] == evidence))


def wrong_order(profile):
    order = list(planted(profile.stats))
    first = profile.stats[0].name.removeprefix(f"{NAMESPACE}::")
    if order == BY_SELF_TIME and first == "slow":
        return None
    wanted, found = ("、".join(names) for names in (BY_SELF_TIME, order))
    also = "" if order and first == order[0] else f"，排在最前面的是 {first}"
    return f"這些運算依 self time 由大到小應為 {wanted}，得到 {found}{also}", f"{not also} {found}"


def wrong_times(profile):
    found = dict.fromkeys(PER_FORWARD, 0.0) | {name: stat.self_cpu_us for name, stat in planted(profile.stats).items()}
    expected = {name: 1e6 * seconds for name, seconds in profile.noted.items()}
    evidence = " ".join(f"{name} {scale(found[name], us)}" for name, us in expected.items())
    for name, us in expected.items():
        if not is_near(found[name], us):
            return f"{name} 的 self_cpu_us 應約為 {us:.0f}，得到 {found[name]:.6g}（容許 15%）", evidence
    if not found["shell"] < expected["slow"] / 2:
        return "shell 的 self_cpu_us 把它呼叫的 slow 也算進去了", "total"
    return None


def scale(found, expected):
    """What part of it was found, in words that stay the same from run to run, also under load."""
    if is_near(found, expected):
        return "right"
    steps = {"too much": 1, "too little": 0.4, "a quarter": 0.11, "a twentieth": 0.02, "a thousandth": 1e-5}
    return next((words for words, least in steps.items() if found > least * expected), "none")


def is_near(found, expected):
    return abs(found - expected) <= TOLERANCE * expected


def planted(stats):
    """The grader's operators in a result, by their short names."""
    assert_type(stats, list, what="結果")
    check(stats, "結果是空的：沒有記錄到任何運算", "empty")
    return {stat.name.removeprefix(f"{NAMESPACE}::"): stat for stat in stats if stat.name.startswith(NAMESPACE)}


@pytest.fixture
def quickly(submission, operators, rng, device):
    """quickly(**settings)：剖析一個不睡覺的模型，回傳 (結果, 模型)。"""
    SPEED["factor"] = 0.0
    model, inputs = network(operators, device), rng.normal((6, 3))
    return lambda **settings: (submission.profile_model(model, inputs, **settings), model)


@pytest.mark.shape
def test_result(submission, profiled):
    """OpStat 的 list，各欄位的型別"""
    planted(profiled.stats)
    for stat in profiled.stats:
        assert_type(stat, submission.OpStat, what="結果的每一項")
        assert_type(stat.name, str, what="name")
        assert_type(stat.calls, int, what="calls")
        # The profiler itself gives the int 0 where there was no device.
        assert_type(stat.self_cpu_us, (float, int), what="self_cpu_us")
        assert_type(stat.self_device_us, (float, int), what="self_device_us")


@pytest.mark.cpu
@pytest.mark.behaviour
def test_bottleneck(profiled):
    """刻意放慢的運算依 self time 排列"""
    judge_all(profiled.tries, wrong_order)


@pytest.mark.behaviour
def test_descending(profiled):
    """整個 list 依 self time 由大到小"""
    planted(profiled.stats)
    field = "self_device_us" if any(stat.self_device_us for stat in profiled.stats) else "self_cpu_us"
    times = [getattr(stat, field) for stat in profiled.stats]
    wrong = [i for i in range(1, len(times)) if times[i] > times[i - 1]]
    if wrong:
        one, other = profiled.stats[wrong[0] - 1], profiled.stats[wrong[0]]
        told = f"{one.name} 的 {getattr(one, field):.0f} 在 {other.name} 的 {getattr(other, field):.0f} 前面"
        orders = [" ".join(planted(each.stats)) for each in profiled.tries]
        fail(f"{field} 不是由大到小：{told}", f"order {statistics.mode(orders)}")


@pytest.mark.behaviour
def test_only_operators(profiled):
    """ProfilerStep* 不在其中"""
    planted(profiled.stats)
    steps = [stat.name for stat in profiled.stats if stat.name.startswith("ProfilerStep")]
    check(not steps, f"{'、'.join(steps)} 不是運算", steps)


@pytest.mark.numeric
def test_calls(profiled):
    """calls 恰好是每次 forward 的次數 × steps"""
    planted(profiled.stats)
    names = [stat.name for stat in profiled.stats]
    twice = sorted({name for name in names if name.startswith(NAMESPACE) and names.count(name) > 1})
    check(not twice, f"{'、'.join(twice)} 有好幾項：同一個運算要合成一項", twice)
    found = {name: stat.calls for name, stat in planted(profiled.stats).items()}
    assert_equal(found, {name: found.get(name) and STEPS * n for name, n in PER_FORWARD.items()}, what="calls")


@pytest.mark.cpu
@pytest.mark.numeric
def test_self_cpu_time(profiled):
    """self_cpu_us 是合計的微秒"""
    judge_all(profiled.tries, wrong_times)


@pytest.mark.behaviour
def test_warmup(profiled):
    """暖身至少一次，不計入"""
    planted(profiled.stats)
    forwards = profiled.forwards
    check(forwards > STEPS, f"steps={STEPS}，只呼叫了模型 {forwards} 次：沒有暖身", f"{forwards} forwards")


@pytest.mark.behaviour
def test_trace(profiled):
    """trace_path 是可以讀的 Chrome trace，含有那些運算"""
    check(profiled.path.is_file(), "沒有寫出 trace_path", "no file")
    try:
        events = json.loads(profiled.path.read_text(encoding="utf-8"))["traceEvents"]
        names = [event.get("name", "") for event in events if event.get("ph") == "X"]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fail(f"trace_path 不是 Chrome trace 的 JSON：{str(error)[:120]}", "no trace")
    found = sorted({name.removeprefix(f"{NAMESPACE}::") for name in names if name.startswith(NAMESPACE)})
    assert_equal(found, sorted(PER_FORWARD), what="trace 裡的運算")


@pytest.mark.behaviour
def test_path_object(quickly, tmp_path):
    """trace_path 也可以是 Path"""
    quickly(steps=1, trace_path=tmp_path / "軌跡.json")
    check((tmp_path / "軌跡.json").is_file(), "沒有寫出 trace_path", "no file")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.behaviour
def test_no_trace(folder, quickly):
    """沒給 trace_path 就不寫檔"""
    quickly(steps=1)
    extra = sorted(path.name for path in folder.iterdir())
    check(not extra, f"沒給 trace_path，卻寫出 {'、'.join(extra)}", extra)


@pytest.mark.shape
@pytest.mark.parametrize("top_k", [None, 3])
def test_top_k(quickly, top_k):
    """至多 top_k 個，預設 10"""
    stats, _ = quickly(steps=1, **({"top_k": top_k} if top_k else {}))
    assert_type(stats, list, what="結果")
    assert_equal(len(stats), top_k or 10, what=f"top_k={top_k or '預設'} 時的個數")  # 這個模型有十幾種運算


@pytest.mark.cpu
@pytest.mark.behaviour
def test_top_of_all(submission, operators, rng, device):
    """top_k 個是全部運算之中 self time 最大的"""
    SPEED["factor"] = 1.0
    for _ in range(3):
        stats = submission.profile_model(network(operators, device), rng.normal((6, 3)), steps=1, top_k=3)
        found = [stat.name.removeprefix(f"{NAMESPACE}::") for stat in stats]
        if set(found) == set(BY_SELF_TIME[:3]):
            return
    told = f"top_k=3 應為 {'、'.join(BY_SELF_TIME[:3])}，得到 {'、'.join(found)}"
    fail(told, [name for name in BY_SELF_TIME if name in found])  # the small ones differ from run to run


@pytest.mark.numeric
def test_default_steps(quickly):
    """steps 預設 5"""
    stats, _ = quickly(top_k=1000)
    found = {name: stat.calls for name, stat in planted(stats).items()}
    assert_equal(found, {name: found.get(name) and 5 * n for name, n in PER_FORWARD.items()}, what="calls")


@pytest.mark.behaviour
def test_evaluation(quickly):
    """eval 模式、grad mode 關閉"""
    _, model = quickly(steps=2)
    training, grad = (any(seen[i] for seen in model.seen) for i in (0, 1))
    evidence = f"training {training}, grad mode {grad}"
    check(not training, "剖析時模型在 train 模式：量到的不是部署時的行為", evidence)
    check(not grad, "剖析時 grad mode 是開的：多了建計算圖的時間", evidence)


@pytest.mark.behaviour
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_unchanged(submission, operators, rng, device, training):
    """模式還原，模型與 inputs 不變"""
    SPEED["factor"] = 0.0
    model, inputs = network(operators, device), rng.normal((6, 3))
    if not training:
        model.eval()
    with unchanged(model, inputs):
        submission.profile_model(model, inputs, steps=1)


@pytest.mark.cuda
@pytest.mark.numeric
def test_device_time(submission, rng, device):
    """在 CUDA 上有 device time，最慢的運算排在前面"""

    class Products(nn.Module):
        def forward(self, x):
            return (x @ x).relu()

    stats = submission.profile_model(Products(), rng.normal((2048, 2048)), steps=3, top_k=1000)
    times = {stat.name: stat.self_device_us for stat in stats}
    check(times.get("aten::mm", 0) > 0, "aten::mm 的 self_device_us 是 0：沒有記錄 CUDA 的時間", "no device time")
    operators = [stat.name for stat in stats if stat.name.startswith("aten::")]
    assert_equal(operators[0], "aten::mm", what="device time 最長的運算")
