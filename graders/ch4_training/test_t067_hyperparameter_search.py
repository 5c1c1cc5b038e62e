"""067 · 超參數搜尋：評分"""

import itertools
import math
import sys

import pytest

from torch_kata.checks import (
    assert_close,
    assert_distribution,
    assert_equal,
    assert_frequencies,
    assert_rate,
    assert_type,
    check,
    np,
    raises,
    same_random_state,
    torch,
    unchanged,
)

DIRECTIONS = pytest.mark.parametrize("direction", ["minimize", "maximize"])
DRAWS = 2000


class Broken(Exception):
    """What a trial raises: a kind that no answer names."""


def key(params):
    """一組參數，可以放進 set 或排序。"""
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


@pytest.fixture
def choices(rng):
    """網格的空間：2 × 4 × 3，值是隨機的。"""
    lrs, widths = rng.uniform((4,), 0.01, 0.9, dtype="float64").tolist(), rng.permutation(64)[:3].tolist()
    return {"optimizer": ["sgd", "adam"], "lr": lrs, "width": widths}


# ── grid ──


@pytest.mark.numeric
def test_grid(submission, choices):
    """grid：每種組合恰好一次"""
    expected = sorted(map(key, (dict(zip(choices, v, strict=True)) for v in itertools.product(*choices.values()))))
    with unchanged(choices):
        found = list(submission.grid(choices))
    for params in found:
        assert_type(params, dict, "grid 產生的")
    assert_equal(sorted(map(key, found)), expected, "24 種組合（排序後）")


@pytest.mark.behaviour
def test_grid_is_lazy(submission, rng):
    """grid：逐個產生，每個 dict 都是新的"""
    marker = float(rng.uniform((), 2, 3, dtype="float64"))
    values = [[marker], *([list(range(6))] * 5)]
    combinations = submission.grid(dict(zip("abcdef", values, strict=True)))
    before = sys.getrefcount(marker)
    first, second = next(combinations), next(combinations)
    held = sys.getrefcount(marker) - before
    check(held < 100, f"才取兩個，就已經有 {held} 個組合在記憶體裡：用 yield 或 itertools 逐個產生", "eager")
    check(key(first) != key(second), "頭兩個組合是同一個 dict，或內容相同", "same")


@pytest.mark.behaviour
def test_search_is_lazy(submission, rng, monkeypatch):
    """search：n_trials 截斷網格，不先列出所有組合"""
    marker, held, calls, taken = float(rng.uniform((), 2, 3, dtype="float64")), [], [], []
    space, grid = dict(zip("abcdef", [[marker], *([list(range(6))] * 5)], strict=True)), submission.grid
    before = sys.getrefcount(marker)

    def counted(*args, **kwargs):
        for params in grid(*args, **kwargs):
            taken.append(1)
            yield params

    def objective(params):
        held.append(sys.getrefcount(marker) - before)
        calls.append(key(params))
        return 0.5

    monkeypatch.setattr(submission, "grid", counted)
    result = submission.search(objective, space, n_trials=5)
    assert_equal((len(calls), len(result.trials)), (5, 5), "n_trials=5 時 objective 的呼叫次數與 trials 的長度")
    check(len(set(calls)) == 5, "5 次試驗中有重複的組合", "repeated")
    most = max([*held, len(taken)])
    check(most < 100, f"n_trials=5，卻產生了 {most} 個組合：試一個才取一個", "eager")


# ── sample ──


@pytest.fixture
def space(rng):
    """三種分布的空間，與它們的邊界。"""
    low, high = float(rng.uniform((), -3, -1)), float(rng.uniform((), 2, 5))
    return {"optimizer": ["sgd", 16, None], "momentum": (low, high), "lr": (1e-5, 0.3, "log")}


@pytest.fixture
def draws(submission, rng, space):
    """sample 抽出的 DRAWS 組。"""
    generator = rng.generator()
    with same_random_state(), unchanged(space):
        found = [submission.sample(space, generator=generator) for _ in range(DRAWS)]
    for params in found[:3]:
        assert_equal(sorted(params), sorted(space), "sample 的鍵")
    return found


def column(draws, name):
    for params in draws:
        assert_type(params[name], float, f"sample 的 {name}")
    return torch.tensor([params[name] for params in draws], dtype=torch.float64)


@pytest.mark.numeric
def test_uniform(draws, space):
    """(low, high)：均勻分布"""
    low, high = space["momentum"]
    assert_distribution(column(draws, "momentum"), lambda x: np.clip((x - low) / (high - low), 0, 1), "momentum 的樣本")


@pytest.mark.numeric
def test_log_uniform(draws, space):
    """(low, high, "log")：對數均勻分布"""
    low, high, _ = space["lr"]

    def law(x):
        return np.log(np.clip(x, low, high) / low) / math.log(high / low)

    assert_distribution(column(draws, "lr"), law, "lr 的樣本")


@pytest.mark.numeric
def test_choice(draws, space):
    """list：每個選項機會均等"""
    found = [params["optimizer"] for params in draws]
    strange = [value for value in found if key({"": value}) not in [key({"": option}) for option in space["optimizer"]]]
    check(not strange, f"{space['optimizer']} 裡沒有抽到的 {strange[:1]}：選項要原樣傳回", "strange")
    assert_frequencies([found.count(option) for option in space["optimizer"]], what="各選項的次數")


@pytest.mark.numeric
def test_independent(draws, space):
    """各超參數互相獨立"""
    # 兩個獨立的連續變數，都大於各自中位數的機會是 1/4；同一個亂數給出的是 1/2 或 0。
    low, high = space["momentum"]
    middle = math.sqrt(space["lr"][0] * space["lr"][1])
    both = (column(draws, "momentum") > (low + high) / 2) & (column(draws, "lr") > middle)
    assert_rate(int(both.sum()), DRAWS, 0.25, "momentum 與 lr 都在上半部的比例")


@pytest.mark.behaviour
def test_sample_generator(submission, rng, space):
    """sample：同樣的 generator 狀態得到同樣的一組，之後才不同"""
    seed = rng.seed()
    first, again = rng.generator(seed), rng.generator(seed)
    one, two = (submission.sample(space, generator=first) for _ in range(2))
    assert_equal(submission.sample(space, generator=again), one, "同樣狀態的 generator 抽出的")
    check(one != two, "同一個 generator 連抽兩次，結果相同：它的狀態要往前走", "same")


# ── search ──


def table(values):
    """(空間, objective)：第 i 個選項的值是 values[i]；是例外就拋出。"""

    def objective(params):
        value = values[params["i"]]
        if isinstance(value, BaseException):
            raise value
        return value

    return {"i": list(range(len(values)))}, objective


def trial_values(result):
    """每次試驗的選項、state 與值，照選項排序；失敗的值不計。"""
    rows = [(t["params"]["i"], t["state"], t["value"] if t["state"] == "ok" else None) for t in result.trials]
    return sorted(rows, key=lambda row: row[0])


@pytest.mark.shape
def test_result(submission, rng, choices):
    """SearchResult：最好的一組與每次試驗的記錄"""
    values = {}

    def objective(params):
        values[key(params)] = value = rng.integer(1, 10**6) / 7
        return value

    with same_random_state(), unchanged(choices):
        result = submission.search(objective, choices)
    assert_type(result, submission.SearchResult, "search 的傳回值")
    assert_equal(len(result.trials), 24, "trials 的長度")
    for trial in result.trials:
        assert_equal(sorted(trial), ["params", "state", "value"], "一次試驗的鍵")
    assert_equal([trial["state"] for trial in result.trials], ["ok"] * 24, "各次試驗的 state")
    found = {key(trial["params"]): float(trial["value"]) for trial in result.trials}
    assert_close(found, values, what="各次試驗的 value")
    best = min(values, key=values.get)
    assert_close(float(result.best_value), values[best], what="best_value")
    assert_equal(key(result.best_params), best, "best_params")


@pytest.mark.behaviour
@DIRECTIONS
def test_direction(submission, rng, direction):
    """minimize 取最小，maximize 取最大"""
    values = (rng.permutation(9).double() + rng.uniform((9,), 0.1, 0.9)).tolist()
    wanted = (min if direction == "minimize" else max)(values)
    space, objective = table(values)
    result = submission.search(objective, space, direction=direction)
    assert_close(float(result.best_value), wanted, what="best_value")
    assert_equal(result.best_params, {"i": values.index(wanted)}, "best_params")


@pytest.mark.behaviour
@DIRECTIONS
def test_zero(submission, direction):
    """最好的 value 是 0 時也一樣"""
    sign = 1 if direction == "minimize" else -1
    space, objective = table([sign * 3.0, 0.0, sign * 2.0, sign * 1.0])
    result = submission.search(objective, space, direction=direction)
    assert_equal(result.best_params, {"i": 1}, "第二個的 value 是 0.0，最好的 best_params")


@pytest.mark.behaviour
@DIRECTIONS
def test_ties(submission, direction):
    """同分時取最先的一次"""
    space, objective = table([0.5] * 7)
    result = submission.search(objective, space, direction=direction)
    assert_equal(result.best_params, result.trials[0]["params"], "7 次同分時的 best_params")


@pytest.mark.behaviour
@DIRECTIONS
@pytest.mark.parametrize("failure", ["raises", "nan"])
def test_failures(submission, rng, direction, failure):
    """失敗的試驗有記錄，不中斷，也不會贏"""
    good = (rng.permutation(5).double() + rng.uniform((5,), 0.1, 0.9)).tolist()
    wanted = (min if direction == "minimize" else max)(good)
    bad = math.nan if failure == "nan" else Broken("這次試驗失敗了")
    values = [bad, *good[:3], bad, *good[3:], bad]
    space, objective = table(values)
    result = submission.search(objective, space, direction=direction)
    rows = [(i, "failed", None) if i in (0, 4, 7) else (i, "ok", value) for i, value in enumerate(values)]
    assert_equal(trial_values(result), rows, "各次試驗的（選項、state、value）")
    assert_close(float(result.best_value), wanted, what="best_value")
    assert_equal(result.best_params, {"i": values.index(wanted)}, "best_params")


@pytest.mark.behaviour
def test_all_failed(submission):
    """全部失敗：RuntimeError"""
    space, objective = table([math.nan, Broken("這次試驗失敗了"), math.nan])
    with raises(RuntimeError):
        submission.search(objective, space)


@pytest.mark.behaviour
def test_interrupt(submission):
    """Ctrl-C 結束搜尋"""
    space, objective = table([0.5, KeyboardInterrupt(), 0.25])
    with raises(KeyboardInterrupt):
        submission.search(objective, space)


@pytest.mark.behaviour
def test_own_copy(submission, choices):
    """objective 改動它的 dict：記錄、之後的試驗與 space 都不受影響"""
    seen = []

    def objective(params):
        seen.append(key(params))
        params["lr"] = -1.0
        params.pop("width")
        return float(len(seen))

    with unchanged(choices):
        result = submission.search(objective, choices)
    assert_equal(len(set(seen)), 24, "objective 收到的不同組合")
    assert_equal([key(trial["params"]) for trial in result.trials], seen, "trials 裡的 params")
    assert_equal(key(result.best_params), seen[0], "best_params")


@pytest.mark.behaviour
def test_random(submission, rng, space):
    """random：n_trials 次，各不相同，都在範圍內，由 seed 決定"""
    seed = rng.seed()
    runs = []
    for each in (seed, seed, seed + 1):
        with same_random_state():
            result = submission.search(lambda params: 0.5, space, strategy="random", n_trials=9, seed=each)
        runs.append([trial["params"] for trial in result.trials])
    lrs = [params["lr"] for params in runs[0]]
    assert_equal(len(lrs), 9, "n_trials=9 時 trials 的長度")
    inside = all(p["optimizer"] in space["optimizer"] and 1e-5 <= p["lr"] <= 0.3 for p in runs[0])
    check(inside, "有參數不在 space 的範圍內", "outside")
    check(len(set(lrs)) == 9, f"9 次試驗只有 {len(set(lrs))} 種 lr：generator 只建一次，連續地抽", lrs)
    assert_equal(runs[1], runs[0], "同一個 seed 再搜尋一次的 params")
    check(runs[2] != runs[0], "換了 seed，結果卻一樣：seed 沒有用上", lrs)


@pytest.mark.behaviour
def test_objective_draws(submission, rng, space):
    """objective 用全域的亂數，不影響抽到什麼"""
    seed, results = rng.seed(), []
    for disturb in (False, True):

        def objective(params, disturb=disturb):
            if disturb:
                torch.manual_seed(7)
                np.random.seed(7)
            return float(torch.rand(())) if disturb else 0.5

        result = submission.search(objective, space, strategy="random", n_trials=6, seed=seed)
        results.append([trial["params"] for trial in result.trials])
    assert_equal(results[1], results[0], "objective 裡呼叫了 torch.manual_seed 時的 params")


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "arguments, mention",
    [({"strategy": "bayes"}, "bayes"), ({"direction": "down"}, "down"), ({"strategy": "random"}, "")],
    ids=["strategy", "direction", "no-n_trials"],
)
def test_bad_arguments(submission, arguments, mention):
    """不合法的參數：ValueError，objective 一次也不呼叫"""
    space, calls = {"i": [1, 2, 3]}, []
    with raises(ValueError, mention):
        submission.search(lambda params: calls.append(params) or 0.5, space, **arguments)
    check(not calls, f"拋出 ValueError 之前，objective 已經被呼叫了 {len(calls)} 次", "called")
