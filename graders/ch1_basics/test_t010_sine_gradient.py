"""010 · 以 autograd 求導數：評分"""

import contextlib
import math

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    check,
    raises,
    torch,
    unchanged,
)

EXACT = {"rtol": 1e-10, "atol": 1e-10}


def sine_derivative(x, order):
    """sin 的第 order 階導數：sin、cos、−sin、−cos 輪流。"""
    x = x.detach().double()
    return [x.sin(), x.cos(), -x.sin(), -x.cos()][order % 4]


# 名稱 -> 由係數 a 做出（f，第 n 階導數的公式）。係數每次不同，導數無法事先寫死。
FUNCTIONS = {
    "exp(ax)": lambda a: (lambda t: (a * t).exp(), lambda x, n: a**n * (a * x).exp()),
    "x*exp(ax)": lambda a: (
        lambda t: t * (a * t).exp(),
        lambda x, n: (a**n * x + (n * a ** (n - 1) if n else 0)) * (a * x).exp(),
    ),
    "1/(x+5a)": lambda a: (
        lambda t: 1 / (t + 5 * a),
        lambda x, n: (-1) ** n * math.factorial(n) / (x + 5 * a) ** (n + 1),
    ),
}


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, dtype):
    """結果的形狀與 dtype 同 x"""
    for shape in [(), (1,), (5,), (2, 3), (4, 1, 2)]:
        x = rng.normal(shape, dtype=dtype)
        for name, result in {
            "sine_gradient": submission.sine_gradient(x),
            "nth_derivative": submission.nth_derivative(torch.sin, x, 2),
        }.items():
            assert_shape(result, shape, f"{name} 的結果")
            assert_dtype(result, dtype, f"{name} 的結果")


@pytest.mark.numeric
def test_quarter_pi(submission, tensor):
    """sin 在 π/4 的梯度是 √2/2"""
    result = submission.sine_gradient(tensor(math.pi / 4, dtype="float64"))
    assert_close(result, tensor(math.sqrt(0.5), dtype="float64"), **EXACT)


@pytest.mark.numeric
def test_sine_gradient(submission, rng):
    """sine_gradient 在任意點都對"""
    for x in [rng.uniform((7,), -9, 9, dtype="float64"), rng.strided((2, 3), dtype="float64")]:
        expected = sine_derivative(x, 1)
        assert_close(submission.sine_gradient(x), expected, **EXACT)


@pytest.mark.behaviour
def test_sine_gradient_uses_autograd(submission, rng):
    """sine_gradient 以 autograd 微分 sin，不是直接寫 cos 或用差分"""
    x = rng.normal((5,))
    with replaced_sin() as calls:
        result = submission.sine_gradient(x)
    check(calls, "沒有呼叫 sin：應由 y = sin(x) 以 autograd 求導，不要直接寫出導數", result)
    assert_close(result, x, what="sin 換成 t * t.detach()（autograd 的導數是 t）後，sine_gradient 的結果")


@contextlib.contextmanager
def replaced_sin():
    """區塊裡的 sin，不論怎麼呼叫，都是 t * t.detach()：autograd 得到 t；差分、平移 π/2 與寫好的 cos 都不是。"""
    from torch.overrides import TorchFunctionMode

    calls = []

    class Replace(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if getattr(func, "__name__", "").partition(".")[0] != "sin":
                return func(*args, **(kwargs or {}))
            calls.append(func)
            t = args[0] if args else kwargs["input"]
            return t * t.detach()

    with Replace():
        yield calls


@pytest.mark.numeric
@pytest.mark.parametrize("order", range(7))
def test_sine_orders(submission, rng, order):
    """sin 的各階導數"""
    x = rng.uniform((2, 5), -4, 4, dtype="float64")
    expected = sine_derivative(x, order)
    assert_close(submission.nth_derivative(torch.sin, x, order), expected, what=f"sin 的第 {order} 階導數", **EXACT)


@pytest.mark.numeric
@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_other_functions(submission, rng, name):
    """別的函數的各階導數"""
    a = float(rng.uniform((), 0.6, 1.4, dtype="float64"))
    f, formula = FUNCTIONS[name](a)
    x = rng.uniform((3, 4), -1, 1, dtype="float64")
    for order in range(5):
        what = f"{name} 的第 {order} 階導數（a = {a:.3f}）"
        assert_close(submission.nth_derivative(f, x, order), formula(x, order), what=what, **EXACT)


@pytest.mark.numeric
def test_graph_runs_out(submission, rng):
    """x³ 的第 4 階、恆等函數的第 2 階以上是 0"""
    x = rng.normal((2, 3), dtype="float64")
    third, zeros = torch.full_like(x, 6.0), torch.zeros_like(x)
    for name, f in {"t**3": lambda t: t**3, "t*t*t": lambda t: t * t * t}.items():
        assert_close(submission.nth_derivative(f, x, 3), third, what=f"{name} 的第 3 階導數")
        for order in (4, 6):
            assert_close(submission.nth_derivative(f, x, order), zeros, what=f"{name} 的第 {order} 階導數")
    for order, wanted in ((0, x), (1, torch.ones_like(x)), (2, zeros), (3, zeros)):
        result = submission.nth_derivative(lambda t: t, x, order)
        assert_close(result, wanted, what=f"恆等函數的第 {order} 階導數")


@pytest.mark.numeric
def test_f_ignores_x(submission, rng):
    """f 不理會 x 時導數是 0"""
    x, c = rng.normal((2, 3), dtype="float64"), rng.normal((2, 3), dtype="float64")
    assert_close(submission.nth_derivative(lambda t: c, x, 0), c.clone(), what="常數函數的第 0 階導數")
    for order in (1, 2):
        result = submission.nth_derivative(lambda t: c, x, order)
        assert_close(result, torch.zeros_like(x), what=f"常數函數的第 {order} 階導數")


@pytest.mark.behaviour
def test_x_is_left_alone(submission, rng):
    """x 維持原樣：數值、requires_grad、grad"""
    plain, leaf, used = (rng.normal((4,), dtype="float64", requires_grad=flag) for flag in (False, True, True))
    used.grad = rng.normal((4,), dtype="float64")
    expected = sine_derivative(used, 1)
    for x in (plain, leaf, used):
        with unchanged(x):
            submission.nth_derivative(torch.sin, x, 2)
        with unchanged(x):
            gradient = submission.sine_gradient(x)
    assert_close(gradient, expected, what="x.grad 已有值時的梯度", **EXACT)


@pytest.mark.behaviour
def test_upstream_is_left_alone(submission, rng):
    """x 是中間結果時，不動到上游的 grad"""
    weight = rng.normal((4,), dtype="float64", requires_grad=True)
    x = 2 * weight
    expected = [sine_derivative(x, 1), sine_derivative(x, 2)]
    results = [submission.sine_gradient(x), submission.nth_derivative(torch.sin, x, 2)]
    check(weight.grad is None, "上游的 weight.grad 被填了值：梯度應停在 x", "upstream")
    assert_close(results, expected, what="x 是中間結果時的導數", **EXACT)
    x.sum().backward()
    assert_close(weight.grad, torch.full_like(expected[0], 2.0), what="之後由 x 反向得到的上游梯度")


@pytest.mark.behaviour
def test_no_graph(submission, rng):
    """結果不帶計算圖"""
    x = rng.normal((4,), requires_grad=True)
    results = {f"nth_derivative 的第 {n} 階": submission.nth_derivative(torch.exp, x, n) for n in range(3)}
    for name, result in {"sine_gradient ": submission.sine_gradient(x), **results}.items():
        assert_equal(result.requires_grad, False, what=f"{name}結果的 requires_grad ")


@pytest.mark.behaviour
def test_negative_order(submission, rng):
    """order 為負數拋出 ValueError"""
    for order in (-1, -3):
        with raises(ValueError, order):
            submission.nth_derivative(torch.sin, rng.normal((3,)), order)
