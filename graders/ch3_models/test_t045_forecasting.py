"""045 · 時間序列預測：評分"""

import math

import pytest

from torch_kata.checks import (
    Adam,
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradients,
    assert_same_module,
    assert_shape,
    assert_type,
    check,
    fail,
    nn,
    raises,
    same_random_state,
    torch,
    unchanged,
)


def windows(series, window, horizon):
    """題目的定義，逐個樣本切出來。"""
    count = len(series) - window - horizon + 1
    inputs = [series[i : i + window] for i in range(count)]
    targets = [series[i + window : i + window + horizon] for i in range(count)]
    return torch.stack(inputs).clone(), torch.stack(targets).clone()


def lstm_oracle(hidden_size, horizon):
    """題目所說的模型：fc(最後一步的 h)。"""

    class LastStep(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(1, hidden_size, batch_first=True)
            self.fc = nn.Linear(hidden_size, horizon)

        def forward(self, x):
            return self.fc(self.lstm(x)[0][:, -1])

    return LastStep()


def weighted(rng, horizon):
    """(B, T, 1) -> (B, horizon)：看得到的值依「離現在多久」各有權重，多看、少看、順序不同都會改變輸出。"""

    class Weighted(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(50, horizon))
            self.bias = nn.Parameter(torch.zeros(horizon))
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            if self.calls > 100:
                fail("forecast 呼叫了模型一百次以上還沒停下來", "endless")
            return torch.tanh(x[:, :, 0].flip(1) @ self.weight[: x.shape[1]] + self.bias)

    model = rng.fill_(Weighted(), scale=0.8).to(rng.device)
    model.extra = nn.Dropout(0.0)  # 子模組的模式也不能變
    return model


def by_hand(model, history, steps):
    """題目的規則：最近的 T 個值預測一段，整段接上。"""
    values, t = history.tolist(), len(history)
    with torch.no_grad():
        while len(values) < t + steps:
            seen = torch.tensor(values[len(values) - t :], dtype=history.dtype, device=history.device)
            values += model(seen.reshape(1, t, 1)).flatten().tolist()
    model.calls = 0
    return torch.tensor(values[t : t + steps], dtype=history.dtype, device=history.device)


@pytest.fixture
def pair(submission, rng, device):
    """作答的 Forecaster(5, horizon=3) 與權重相同的 oracle（float64）。"""
    truth = rng.fill_(lstm_oracle(5, 3).to(device))
    module = submission.Forecaster(5, horizon=3).to(device)
    module.load_state_dict(truth.state_dict())
    return module, truth.double()


# ── make_windows ──


@pytest.mark.shape
def test_window_shapes(submission, rng):
    """make_windows 結果的形狀與 dtype"""
    for n, window, horizon, dtype in ((20, 5, 3, "float32"), (11, 3, 4, "float64"), (9, 1, 1, "int64")):
        series = rng.integers(-99, 99, (n,)).to(getattr(torch, dtype))
        inputs, targets = submission.make_windows(series, window, horizon)
        m = n - window - horizon + 1
        name = f"N = {n}、window = {window}、horizon = {horizon} 的"
        assert_shape(inputs, (m, window), f"{name} inputs ")
        assert_shape(targets, (m, horizon), f"{name} targets ")
        assert_dtype(inputs, dtype, "inputs ")
        assert_dtype(targets, dtype, "targets ")


@pytest.mark.numeric
def test_window_values(submission, rng):
    """目標緊接在視窗後面，一個樣本也不漏"""
    for series, window, horizon in (
        (rng.normal((22,))[2:], 5, 3),
        (rng.integers(-99, 99, (11,)), 3, 4),
        (rng.normal((13, 3))[:, 1], 4, 1),
    ):
        expected = windows(series, window, horizon)
        with unchanged(series):
            made = submission.make_windows(series, window, horizon)
        name = f"N = {len(series)}、window = {window}、horizon = {horizon}、series.stride() = {series.stride()} 的"
        for part, value, wanted in zip(("inputs", "targets"), made, expected, strict=True):
            assert_close(value, wanted, rtol=0, atol=0, what=f"{name} {part} ")


@pytest.mark.numeric
def test_default_horizon(submission, rng):
    """horizon 預設是 1"""
    series = rng.normal((9,))
    assert_close(list(submission.make_windows(series, 4)), list(windows(series, 4, 1)), what="(inputs, targets)")


@pytest.mark.numeric
def test_one_window(submission, rng):
    """恰好夠一個樣本"""
    series = rng.normal((8,))
    made = submission.make_windows(series, 5, 3)
    assert_close(list(made), [series[None, :5], series[None, 5:]], what="(inputs, targets)")


@pytest.mark.gradient
def test_window_gradient(submission, rng):
    """make_windows 的梯度流回 series"""
    assert_gradients(lambda series: submission.make_windows(series, 4, 2), rng.normal((9,)))


@pytest.mark.behaviour
def test_no_copy(submission, rng):
    """結果與 series 共用記憶體"""
    series = rng.normal((30,))
    for name, part in zip(("inputs", "targets"), submission.make_windows(series, 6, 3), strict=True):
        shared = part.untyped_storage().data_ptr() == series.untyped_storage().data_ptr()
        check(shared, f"{name} 是複製出來的：沒有與 series 共用記憶體", f"{name} {tuple(part.stride())}")


@pytest.mark.behaviour
@pytest.mark.parametrize("n, window, horizon", [(7, 5, 3), (3, 5, 1)])
def test_too_short(submission, rng, n, window, horizon):
    """太短：ValueError"""
    with raises(ValueError, n):
        submission.make_windows(rng.normal((n,)), window, horizon)


# ── Forecaster ──


@pytest.mark.shape
def test_parts(submission):
    """Forecaster 的子模組與 state_dict"""
    for horizon, module in ((1, submission.Forecaster(5)), (3, submission.Forecaster(5, 3))):
        assert_type(module.lstm, nn.LSTM, "lstm ")
        assert_type(module.fc, nn.Linear, "fc ")
        expected = {name: tuple(value.shape) for name, value in lstm_oracle(5, horizon).state_dict().items()}
        found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
        assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.numeric
def test_forecaster(pair, rng):
    """Forecaster 等於 fc(最後一步的 h)"""
    module, truth = pair
    for b, t in ((4, 7), (7, 4), (1, 6), (5, 1)):
        x = rng.normal((b, t, 1))
        expected = truth(x.double())
        with unchanged(x, module):
            assert_close(module(x), expected, what=f"B = {b}、T = {t} 的輸出")


@pytest.mark.gradient
def test_forecaster_gradient(pair, rng):
    """Forecaster 的輸入與每個參數的梯度"""
    assert_same_module(*pair, rng.normal((4, 7, 1)))


@pytest.mark.behaviour
def test_no_memory(pair, rng):
    """Forecaster 不記得上一個 batch"""
    module, truth = pair
    x = rng.normal((4, 7, 1))
    expected = truth(x.double())
    module(rng.normal((4, 5, 1)))
    assert_close(module(x), expected, what="第二次呼叫的輸出")


# ── forecast ──


@pytest.mark.numeric
@pytest.mark.parametrize("horizon", [1, 3])
def test_forecast(submission, rng, horizon):
    """forecast 等於逐段手算"""
    model = weighted(rng, horizon).double()
    for t, steps in ((7, 10), (7, 2), (31, 6)):
        history = rng.normal((t,), dtype="float64")
        expected = by_hand(model, history, steps)
        with unchanged(history):
            made = submission.forecast(model, history, steps)
        assert_close(made, expected, what=f"horizon {horizon}、T = {t} 的 {steps} 個預測")


@pytest.mark.shape
def test_forecast_shape(submission, rng, device):
    """forecast 結果的形狀與 dtype"""
    for horizon, steps, dtype in ((1, 4, "float32"), (3, 4, "float32"), (3, 7, "float64"), (4, 1, "float32")):
        model = lstm_oracle(5, horizon).to(device, getattr(torch, dtype))
        made = submission.forecast(model, rng.normal((6,), dtype=dtype), steps)
        assert_shape(made, (steps,), f"horizon {horizon}、steps {steps} 的預測")
        assert_dtype(made, dtype, "預測")


@pytest.mark.behaviour
def test_forecast_no_gradient(submission, rng):
    """forecast 不帶計算圖，也不留下梯度"""
    model = weighted(rng, 3)
    made = submission.forecast(model, rng.normal((7,)), 7)
    check(not made.requires_grad, "預測的 requires_grad 是 True：每一步的計算圖都留著", made)
    for name, parameter in model.named_parameters():
        check(parameter.grad is None, f"forecast 之後 {name}.grad 不是 None", parameter.grad)
        check(parameter.requires_grad, f"forecast 之後 {name}.requires_grad 變成 False", name)


@pytest.mark.behaviour
def test_forecast_mode(submission, rng):
    """forecast 不改變模型的模式與全域亂數"""
    for mode in ("train", "eval"):
        model, history = weighted(rng, 2).train(mode == "train"), rng.normal((7,))
        with same_random_state():
            submission.forecast(model, history, 3)
        now = [module.training for module in model.modules()]
        if now != [mode == "train"] * 2:
            fail(f"model.{mode}() 之後呼叫 forecast，模型與子模組的 training 變成 {now}", f"{mode} {now}")


# ── 三者合起來 ──


@pytest.mark.behaviour
def test_learns(submission, rng, device):
    """學得會：誤差不超過 persistence 的一半"""
    # 預設、正交、Xavier 三種初始化各 60 個種子（雜訊與相位也不同）：0.055 至 0.116，平均約 0.076，標準差 0.012。
    # 上限 0.5 在三十個標準差之外；沒有訓練的是 3.1 以上。
    t = torch.arange(300, device=device)
    series = torch.sin(2 * math.pi * t / 12 + rng.integer(0, 12)) + 0.1 * rng.normal((300,))
    inputs, targets = submission.make_windows(series[:200], 24)
    future, answers = submission.make_windows(series[200:], 24)
    model = submission.Forecaster(16).to(device)
    adam = Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        adam.step(F.mse_loss(model(inputs[:, :, None]), targets))
    with torch.no_grad():
        error = F.mse_loss(model.eval()(future[:, :, None]), answers)
    ratio = error / F.mse_loss(future[:, -1:], answers)
    message = f"訓練 150 步後，均方誤差是 persistence 的 {float(ratio):.2f} 倍；應在 0.5 以下"
    check(ratio <= 0.5, message, ratio)
