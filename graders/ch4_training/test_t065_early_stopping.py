"""065 · 模型的早停：評分"""

import copy
import io
import math

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_type, check, fail, nn, raises, torch, unchanged

NAN = math.nan
MODES = pytest.mark.parametrize("mode", ["min", "max"])


class Oracle:
    """題目的定義，逐字寫成。"""

    def __init__(self, patience=5, min_delta=0.0, mode="min"):
        self.patience, self.min_delta, self.sign = patience, min_delta, 1 if mode == "min" else -1
        self.number, self.best, self.where, self.bad = 0, None, None, 0

    def step(self, value):
        self.number += 1
        if value == value and (self.best is None or self.sign * (self.best - value) > self.min_delta):
            self.best, self.where, self.bad = value, self.number, 0
        else:
            self.bad += 1
        return [self.best, self.where, self.bad, self.bad >= self.patience]


def trace_of(stopper, values, model):
    """每一步之後的 [best_value, best_step, bad_steps, 傳回值]，到該停為止；還沒有最好的值時 best_value 記為 None。"""
    trace = []
    for value in values:
        stop = stopper.step(value, model)
        best = None if stopper.best_step is None else stopper.best_value
        trace.append([best, stopper.best_step, stopper.bad_steps, stop])
        if stop:
            break
    return trace


def expected_trace(values, **settings):
    oracle, trace = Oracle(**settings), []
    for value in values:
        trace.append(oracle.step(value))
        if trace[-1][3]:
            break
    return trace


@pytest.fixture
def model(rng, device):
    """一個有參數也有 buffer（整數的也有）的小模型。"""
    return rng.fill_(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))).to(device)


@pytest.fixture
def assert_trace(submission, rng, device):
    """assert_trace(values, ...)：values 一起平移、縮放（min_delta 也縮放）之後，每一步都和推算的相同。

    平移與縮放都是 1/64 的倍數：差距在浮點數裡沒有誤差，恰好在門檻上的仍然恰好。
    """

    model = nn.Linear(1, 1, device=device)

    def run(values, *, min_delta=None, **settings):
        scale, shift = rng.integer(33, 63) / 64, rng.integer(-640, 640) / 64
        values = [shift + scale * value for value in values]
        if min_delta is not None:
            settings["min_delta"] = scale * min_delta
        expected = expected_trace(values, **settings)
        found = trace_of(submission.EarlyStopping(**settings), values, model)
        assert_close(found, expected, what=f"value 依序為 {values} 時，[best_value, best_step, bad_steps, 傳回值]")

    return run


def train_on(model, rng):
    """像 optimizer 那樣就地改動所有的參數，與 BatchNorm 的統計量。"""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(rng.normal(tensor.shape) if tensor.is_floating_point() else 1)


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.shape
def test_types(submission, model):
    """傳回值與屬性的型別，開始時的值"""
    stopper = submission.EarlyStopping(patience=2)
    check(stopper.best_step is None, f"step 之前 best_step 應為 None，得到 {stopper.best_step}", [stopper.best_step])
    assert_equal(stopper.bad_steps, 0, what="step 之前的 bad_steps")
    for value, stop in ((0.75, False), (1.5, False), (1.25, True)):
        result = stopper.step(value, model)
        assert_type(result, bool, what="step 的傳回值")
        check(result is stop, f"value 依序為 0.75、1.5、1.25，{value} 那一步應傳回 {stop}", str(result))
        assert_type(stopper.best_value, float, what="best_value")
        assert_type(stopper.best_step, int, what="best_step")
        assert_type(stopper.bad_steps, int, what="bad_steps")


@pytest.mark.numeric
@MODES
def test_random_series(assert_trace, rng, mode):
    """隨機的 value，每一步都和推算的相同"""
    for _ in range(40):
        values = (rng.integers(-8, 9, (20,)) / 4).tolist()
        values = [NAN if rng.integer(0, 12) == 0 else value for value in values]
        settings = {"patience": rng.integer(1, 6), "min_delta": rng.choice([0.0, 0.25, 1.0])}
        assert_trace(values, mode=mode, **settings)


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "values, patience",
    [([3, 2, 4, 5, 2.5, 1, 9], 3), ([5, 6, 4, 5, 3, 4, 3.5, 1], 2), ([5, 3, 4, 1], 1)],
    ids=["patience-3", "patience-2-interrupted", "patience-1"],
)
def test_patience(assert_trace, values, patience):
    """連續 patience 步沒有改善就停"""
    assert_trace(values, patience=patience)


@pytest.mark.behaviour
@MODES
def test_mode(assert_trace, mode):
    """min 越小越好，max 越大越好"""
    sign = 1 if mode == "min" else -1
    assert_trace([sign * value for value in (5, 4, 2, 3, 1, 2, 6)], patience=4, mode=mode)


@pytest.mark.behaviour
@MODES
def test_zero(submission, model, mode):
    """best_value 是 0 時也一樣"""
    sign = 1 if mode == "min" else -1
    values, settings = [sign * value + 0.0 for value in (1.0, 0.0, 0.5, 0.25, 0.75)], {"patience": 3, "mode": mode}
    found = trace_of(submission.EarlyStopping(**settings), values, model)
    what = f"value 依序為 {values} 時，[best_value, best_step, bad_steps, 傳回值]"
    assert_close(found, expected_trace(values, **settings), rtol=0, what=what)


@pytest.mark.behaviour
@MODES
def test_threshold(assert_trace, mode):
    """恰好差 min_delta 不算改善"""
    sign = 1 if mode == "min" else -1
    for min_delta in (0.5, 0.0):
        values = [5, 5 - min_delta, 4.25 - min_delta, 4.25 - 2 * min_delta, 4.25 - min_delta, 6]
        assert_trace([sign * value for value in values], patience=4, min_delta=min_delta, mode=mode)


@pytest.mark.behaviour
@MODES
def test_small_gains(assert_trace, mode):
    """不到 min_delta 的小進步不更新 best_value，累積夠了才算"""
    sign = 1 if mode == "min" else -1
    assert_trace([sign * value for value in (5, 4.5, 4, 3.5, 3, 2.5)], patience=3, min_delta=1.25, mode=mode)


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "values, mode",
    [([NAN, NAN, 3, 2, 4, 5], "min"), ([3, NAN, 2, 4, NAN, NAN, 1], "max"), ([NAN] * 5, "min")],
    ids=["first", "later", "only"],
)
def test_nan(assert_trace, values, mode):
    """NaN 算沒有改善"""
    assert_trace(values, patience=3, mode=mode)


@pytest.mark.behaviour
def test_defaults(submission, model, rng):
    """預設 patience = 5、min_delta = 0、mode = "min" """
    start, tiny = rng.integer(1, 99) / 64, 2.0**-20
    values = [start, start - tiny, start, start + 1, start - tiny, start, start, start]
    expected = expected_trace(values)
    assert_close(trace_of(submission.EarlyStopping(), values, model), expected, rtol=0, what="每一步之後")


@pytest.mark.behaviour
def test_restore(submission, model, rng):
    """還原最好的參數，繼續訓練之後再還原也是同一份"""
    stopper, parameters = submission.EarlyStopping(patience=9), dict(model.named_parameters())
    best = {}
    for value in (4.0, 1.5, 3.0, 2.0):
        train_on(model, rng)
        if value == 1.5:
            best = weights(model)
        stopper.step(value, model)
    expected = {name: best[name] for name in parameters}
    for times in ("第一次", "繼續訓練之後第二次"):
        train_on(model, rng)
        stopper.restore(model)
        found = {name: parameter.detach() for name, parameter in model.named_parameters()}
        assert_close(found, expected, rtol=0, atol=0, what=f"{times}還原的參數")


@pytest.mark.behaviour
def test_restore_buffers(submission, model, rng):
    """還原最好的 buffer"""
    stopper = submission.EarlyStopping(mode="max")
    stopper.step(0.5, model)
    train_on(model, rng)
    expected = {name: buffer.clone() for name, buffer in model.named_buffers()}
    for value in (0.75, 0.25):
        stopper.step(value, model)
        train_on(model, rng)
    stopper.restore(model)
    assert_close(dict(model.named_buffers()), expected, rtol=0, atol=0, what="還原的 buffer")


@pytest.mark.behaviour
def test_restore_in_place(submission, model, rng):
    """寫回原有的參數與 buffer"""
    stopper = submission.EarlyStopping()
    held = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    expected = weights(model)
    stopper.step(0.5, model)
    train_on(model, rng)
    stopper.restore(model)
    now = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    replaced = [name for name in held if now.get(name) is not held[name]]
    check(not replaced, f"{replaced[:1]} 換成了另一個張量：optimizer 握著的還是舊的", replaced)
    assert_close({name: tensor.detach() for name, tensor in held.items()}, expected, rtol=0, atol=0, what="原有的張量")


@pytest.mark.behaviour
def test_restore_into_another_model(submission, model, rng):
    """寫回結構相同的另一個模型"""
    other, expected = rng.fill_(copy.deepcopy(model)), weights(model)
    stopper = submission.EarlyStopping()
    stopper.step(0.5, model)
    train_on(model, rng)
    untouched = weights(model)
    stopper.restore(other)
    assert_close(weights(other), expected, rtol=0, atol=0, what="另一個模型的權重")
    assert_close(weights(model), untouched, rtol=0, atol=0, what="step 時的那個模型的權重")


@pytest.mark.behaviour
@pytest.mark.parametrize("values", [[], [NAN, NAN]], ids=["no-step", "only-nan"])
def test_nothing_to_restore(submission, model, values):
    """沒有可還原的權重：RuntimeError"""
    stopper = submission.EarlyStopping()
    for value in values:
        stopper.step(value, model)
    with unchanged(model), raises(RuntimeError):
        stopper.restore(model)


@pytest.mark.behaviour
def test_model_untouched(submission, model, rng):
    """step 不改動模型，restore 不改變模式"""
    model.eval()
    model[0].train()
    for parameter in model.parameters():
        parameter.grad = rng.normal(parameter.shape)
    stopper = submission.EarlyStopping(patience=9)
    with unchanged(model):
        for value in (2.0, 1.0, 3.0, NAN):
            stopper.step(value, model)
        stopper.restore(model)


@pytest.mark.behaviour
@pytest.mark.parametrize("mode, pause", [("min", 4), ("max", 3), ("min", 0)], ids=["min", "max", "before-any-step"])
def test_resume(submission, model, rng, mode, pause):
    """存檔之後在新的物件上接續"""
    sign, shift = (1 if mode == "min" else -1), rng.integer(-640, 640) / 64
    values = [shift + sign * value for value in (5, 3, 4, 3.5, 2, 1.75, 4, 6, 5)]
    settings = {"patience": 3, "min_delta": 0.5, "mode": mode}
    expected = expected_trace(values, **settings)[pause:]
    stopper = submission.EarlyStopping(**settings)
    best = {}
    for number, value in enumerate(values[:pause], 1):
        train_on(model, rng)
        stopper.step(value, model)
        best = weights(model) if expected_trace(values, **settings)[number - 1][1] == number else best
    file = io.BytesIO()
    torch.save(stopper.state_dict(), file)
    file.seek(0)
    try:
        state = torch.load(file)
    except Exception as error:
        fail(f"torch.load 讀不回 state_dict()：{str(error).strip().splitlines()[0]}", "unloadable")
    resumed = submission.EarlyStopping(**settings)
    resumed.load_state_dict(state)
    if pause:
        other = rng.fill_(copy.deepcopy(model))
        try:
            resumed.restore(other)
        except RuntimeError as error:
            fail(f"接續之後 restore 拋出 RuntimeError：{error}", f"lost {shift}")
        assert_close(weights(other), best, rtol=0, atol=0, what="接續之後還原的權重")
    found = trace_of(resumed, values[pause:], model)
    assert_close(found, expected, what=f"第 {pause} 步之後接續，每一步的 [best_value, best_step, bad_steps, 傳回值]")


@pytest.mark.behaviour
@pytest.mark.parametrize("patience", [0, -3])
def test_bad_patience(submission, patience):
    """patience < 1：ValueError"""
    with raises(ValueError, patience):
        submission.EarlyStopping(patience)


@pytest.mark.behaviour
def test_unknown_mode(submission):
    """不認得的 mode：ValueError"""
    with raises(ValueError, "lowest"):
        submission.EarlyStopping(mode="lowest")
