"""069 · 指標停滯就降低學習率：評分"""

import math

import pytest

from torch_kata.checks import assert_close, check, forbid, raises, torch

pytestmark = forbid("torch.optim.lr_scheduler.ReduceLROnPlateau")

NAN = math.nan


@pytest.fixture
def optimizer(device):
    """optimizer(*rates)：每個學習率一個群組的 SGD。"""

    def make(*rates):
        return torch.optim.SGD([{"params": [torch.zeros(1, device=device)], "lr": lr} for lr in rates])

    return make


@pytest.fixture
def plateau(submission):
    """plateau(optimizer, ...)：作答的 PlateauLR，先看它不是換了名字的 ReduceLROnPlateau。"""

    def make(*args, **kwargs):
        scheduler = submission.PlateauLR(*args, **kwargs)
        inherits = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        check(not inherits, "PlateauLR 繼承了 ReduceLROnPlateau：這一題要自己實作", "inherits")
        return scheduler

    return make


def rates_after(optimizer, scheduler, metrics):
    """每個 metric 之後各群組的學習率，(步數, 群組)。"""
    rates = []
    for metric in metrics:
        scheduler.step(metric)
        rates.append([float(group["lr"]) for group in optimizer.param_groups])
    return torch.tensor(rates, dtype=torch.float64)


@pytest.fixture
def assert_reductions(plateau, optimizer, rng):
    """assert_reductions(metrics, counts, ...)：每個 metric 之後，學習率已經降過 counts 次（每次乘 0.5）。"""

    def run(metrics, counts, **settings):
        start = float(rng.uniform((), 0.5, 0.9))
        sgd = optimizer(start)
        rates = rates_after(sgd, plateau(sgd, factor=0.5, **settings), metrics)
        expected = torch.tensor([[start * 0.5**count] for count in counts], dtype=torch.float64)
        assert_close(rates, expected, rtol=1e-9, atol=0, what=f"metric 依序為 {metrics} 時，每一步之後的學習率")

    return run


@pytest.mark.numeric
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_random_series(plateau, optimizer, rng, mode, threshold_mode):
    """隨機的設定與 metric，學習率與 ReduceLROnPlateau 相同"""
    # metric 與 threshold 都是 1/16 的倍數：門檻在浮點數裡沒有誤差，怎麼寫公式都在同一點。
    count, length = 125, 24
    metrics = rng.integers(-12, 30, (count, length)) / 16 * rng.bernoulli(0.5, (count, length)) + 0.0  # 沒有 −0
    metrics = torch.where(rng.bernoulli(0.05, (count, length)).bool(), NAN, metrics).tolist()
    starts = rng.uniform((count, 3), 0.01, 1.0, dtype="float64").tolist()
    for number in range(count):
        settings = {
            "mode": mode,
            "factor": rng.choice([0.1, 0.3, 0.5]),
            "patience": rng.integer(0, 4),
            "threshold": rng.choice([0.0, 1 / 16, 1 / 4]),
            "threshold_mode": threshold_mode,
            "cooldown": rng.integer(0, 4),
            "min_lr": rng.choice([0.0, 1e-5, 0.02]),
        }
        theirs, own = optimizer(*starts[number]), optimizer(*starts[number])
        oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **settings)
        expected = rates_after(theirs, oracle, metrics[number])
        found = rates_after(own, plateau(own, **settings), metrics[number])
        if not torch.allclose(found, expected, rtol=1e-9, atol=0):
            what = f"第 {number} 組（{settings}，metric 依序為 {metrics[number]}）的學習率"
            assert_close(found, expected, rtol=1e-9, atol=0, what=what)


@pytest.mark.numeric
def test_defaults(plateau, optimizer):
    """參數的預設值"""
    # 每次都比 best 好，但不到萬分之一：10 步之內不降；之後進步超過萬分之一就不再降。
    slight, clear = [1 - 4e-6 * step for step in range(13)], [0.9, 0.8998] + [0.89975] * 23
    metrics = [*slight, *clear]
    theirs, own = optimizer(0.3, 2e-9), optimizer(0.3, 2e-9)
    expected = rates_after(theirs, torch.optim.lr_scheduler.ReduceLROnPlateau(theirs), metrics)
    found = rates_after(own, plateau(own), metrics)
    assert_close(found, expected, rtol=1e-9, atol=0, what="用預設值時，每一步之後的學習率")


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "patience, counts", [(0, [0, 1, 2, 3, 4, 5]), (1, [0, 0, 1, 1, 2, 2]), (3, [0, 0, 0, 0, 1, 1])], ids=["0", "1", "3"]
)
def test_patience(assert_reductions, patience, counts):
    """第 patience + 1 個沒有進步的步驟才降"""
    assert_reductions([1.0] * 6, counts, patience=patience)


@pytest.mark.behaviour
def test_improvement_starts_over(assert_reductions):
    """一有進步就重新數；與最好的比，不是與前一個比"""
    metrics = [1.0, 1.0, 1.0, 0.5, 0.75, 0.75, 0.25, 0.875, 0.75, 0.5]
    assert_reductions(metrics, [0, 0, 0, 0, 0, 0, 0, 0, 0, 1], patience=2)


@pytest.mark.behaviour
@pytest.mark.parametrize("mode, metric", [("min", 1e12), ("max", -1e12)], ids=["min", "max"])
def test_first_metric(assert_reductions, mode, metric):
    """第一個 metric 不論多大，一定比較好"""
    assert_reductions([metric] * 4, [0, 0, 0, 1], mode=mode, patience=2, threshold=0.0)


@pytest.mark.behaviour
def test_slight_improvement(assert_reductions):
    """threshold=0 時，再小的進步也算"""
    assert_reductions([1 - 1e-12 * step for step in range(5)], [0] * 5, patience=0, threshold=0.0)


@pytest.mark.behaviour
def test_cooldown(assert_reductions):
    """冷卻期之內不數"""
    assert_reductions([1.0] * 13, [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3], patience=1, cooldown=3)


@pytest.mark.behaviour
def test_best_in_cooldown(assert_reductions):
    """冷卻期之內 best 照常更新"""
    metrics = [1.0, 1.0, 0.25, 1.0, 0.5, 0.5, 0.5]  # 第 1 步之後冷卻兩步，0.25 在其中
    assert_reductions(metrics, [0, 1, 1, 1, 2, 2, 2], patience=0, cooldown=2)


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "mode, threshold_mode, metrics",
    [
        ("min", "rel", [2, 1.5, 1.625, 1.4375, 1.25, 1.0625, 1, 1]),
        ("max", "rel", [2, 2.5, 2.375, 2.5625, 3.125, 3.25, 4, 4]),
        ("min", "abs", [2, 1.75, 1.875, 1.6875, 1.5, 1.375, 1.25, 1.25]),
        ("max", "abs", [2, 2.25, 2.125, 2.3125, 2.5, 2.625, 2.75, 2.75]),
    ],
    ids=["min-rel", "max-rel", "min-abs", "max-abs"],
)
def test_threshold(assert_reductions, mode, threshold_mode, metrics):
    """四種門檻；恰好在門檻上不算進步"""
    # 第 0、3、5 個 metric 超過門檻，其餘沒有；第 1 個恰好在門檻上。
    counts = [0, 0, 1, 1, 1, 1, 1, 2]
    assert_reductions(metrics, counts, mode=mode, threshold_mode=threshold_mode, threshold=0.25, patience=1)


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "mode, metrics",
    [("min", [-2, -1.75, -1.3125, -1.25, -1.4375, -1, -1]), ("max", [-2, -2.25, -2.8125, -3, -2.625, -4, -4])],
    ids=["min", "max"],
)
def test_negative(assert_reductions, mode, metrics):
    """負的 metric 照 rel 的公式"""
    # 門檻依序是 −1.5（best = −2）、−1.3125（best = −1.75）；"max" 是 −2.5、−2.8125：第 1、4 個都算進步。
    assert_reductions(metrics, [0, 0, 0, 1, 1, 1, 2], mode=mode, threshold=0.25, patience=1)


@pytest.mark.behaviour
def test_min_lr(plateau, optimizer):
    """不低於 min_lr，也不調高"""
    sgd = optimizer(0.5, 0.02, 0.04)
    rates = rates_after(sgd, plateau(sgd, patience=0, min_lr=0.03), [1.0] * 4)
    expected = [[0.5, 0.02, 0.04], [0.05, 0.02, 0.03], [0.03, 0.02, 0.03], [0.03, 0.02, 0.03]]
    expected = torch.tensor(expected, dtype=torch.float64)
    assert_close(rates, expected, rtol=1e-9, atol=0, what="min_lr=0.03 時，每一步之後的學習率")


@pytest.mark.behaviour
def test_tiny_changes(plateau, optimizer):
    """1e-8 以下的改變不做"""
    sgd = optimizer(4e-8, 1.5e-8)
    rates = rates_after(sgd, plateau(sgd, factor=0.5, patience=0), [1.0] * 4)
    expected = torch.tensor([[4e-8, 1.5e-8]] + [[2e-8, 1.5e-8]] * 3, dtype=torch.float64)
    assert_close(rates, expected, rtol=1e-9, atol=0, what="factor=0.5 時，每一步之後的學習率")


@pytest.mark.behaviour
def test_every_group(plateau, optimizer, rng):
    """每個群組各乘 factor"""
    start = rng.uniform((3,), 0.1, 1.0, dtype="float64").tolist()
    sgd = optimizer(*start)
    rates = rates_after(sgd, plateau(sgd, factor=0.3, patience=0), [1.0] * 3)
    expected = torch.tensor([[lr * 0.3**count for lr in start] for count in range(3)], dtype=torch.float64)
    assert_close(rates, expected, rtol=1e-9, atol=0, what="各群組的學習率")


@pytest.mark.behaviour
def test_changed_elsewhere(plateau, optimizer):
    """學習率在別處改過，就從改過的值降"""
    sgd = optimizer(0.5, 0.25)
    scheduler = plateau(sgd, factor=0.5, patience=0)
    rates_after(sgd, scheduler, [1.0, 1.0])
    sgd.param_groups[0]["lr"] = 0.75
    rates, expected = rates_after(sgd, scheduler, [1.0, 1.0]), [[0.375, 0.0625], [0.1875, 0.03125]]
    what = "別處把第一個群組改成 0.75 之後，每一步之後的學習率"
    assert_close(rates, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0, what=what)


@pytest.mark.behaviour
def test_nan(assert_reductions):
    """NaN 算沒有進步"""
    assert_reductions([NAN, 1.0, NAN, NAN, 0.5, NAN, 0.75, 0.25], [0, 0, 0, 1, 1, 1, 2, 2], patience=1)


@pytest.mark.behaviour
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_bad_factor(submission, optimizer, factor):
    """factor ≥ 1：ValueError"""
    with raises(ValueError, factor):
        submission.PlateauLR(optimizer(0.1), factor=factor)


@pytest.mark.behaviour
def test_unknown_mode(submission, optimizer):
    """不認得的 mode：ValueError"""
    with raises(ValueError, "lowest"):
        submission.PlateauLR(optimizer(0.1), mode="lowest")
