"""091 · 梯度檢查：評分"""

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_shape, cast, forbid, raises, torch, unchanged

pytestmark = forbid("torch.autograd.gradcheck", "torch.func.jacfwd")

CLOSE = {"rtol": 1e-7, "atol": 1e-7}


def smooth(name, rng, shape):
    """(f, 梯度的公式)：係數每次不同，f 的值不大，捨入誤差在 1e-8 以下。"""
    a, b = rng.uniform(shape, 0.5, 1.5, dtype="float64"), rng.normal(shape, dtype="float64")
    return {
        "sin": (lambda t: (b * (5 * t).sin()).sum(), lambda x: 5 * b * (5 * x).cos()),
        "exp": (
            lambda t: (a * t).tanh().sum().exp() / 9,
            lambda x: a / (a * x).cosh() ** 2 * (a * x).tanh().sum().exp() / 9,
        ),
        "norm": (lambda t: (t * t + a).sum().sqrt(), lambda x: x / (x * x + a).sum().sqrt()),
    }[name]


def operation(fault=None):
    """逐列的 y = roll(x³ + x·exp(−x²))，backward 是手寫的：正確，或有一個錯。"""

    class Operation(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return (x**3 + x * (-x * x).exp()).roll(1, -1)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            bell = (-x * x).exp()
            slope = 3 * x * x + bell - 2 * x * x * bell
            if fault == "factor":
                slope = 2 * x * x + bell - 2 * x * x * bell
            if fault == "missing":
                slope = 3 * x * x + bell
            if fault == "sign":
                slope = -slope
            if fault == "nan":
                slope = torch.where(x > x.min(), slope, torch.nan)
            result = slope * grad.roll(-1, -1)
            return result.roll(1, -1) if fault == "index" else result

    return Operation.apply


@pytest.fixture
def operated(rng):
    """operated(fault)：(f, x, 真正的梯度)，f 是手寫 backward 的純量函數。"""

    def make(fault=None):
        x, w = (rng.uniform((3, 5), 0.5, 1.5, dtype="float64") for _ in range(2))
        w = w * (2 * rng.bernoulli(0.5, (3, 5), dtype="float64") - 1)
        true = w.roll(-1, -1) * (3 * x * x + (1 - 2 * x * x) * (-x * x).exp())
        return lambda t: (operation(fault)(t) * w).sum(), x, true

    return make


@pytest.mark.shape
@pytest.mark.parametrize("shape", [(), (1,), (4, 3), (2, 1, 3)], ids=["scalar", "one", "matrix", "three"])
def test_shape(submission, rng, shape):
    """數值梯度的形狀同 x"""
    x, w = rng.normal(shape, dtype="float64"), rng.normal(shape, dtype="float64")
    expected = 2 * w * x
    result = submission.numerical_gradient(lambda t: (w * t * t).sum(), x)
    assert_shape(result, shape, what="數值梯度")
    assert_close(result, expected, **CLOSE, what="數值梯度")


@pytest.mark.numeric
@pytest.mark.parametrize("name", ["sin", "exp", "norm"])
def test_smooth(submission, rng, name):
    """平滑函數的誤差 1e-7 以內"""
    f, formula = smooth(name, rng, (3, 4))
    x = rng.normal((3, 4), dtype="float64")
    expected = formula(x)
    assert_close(submission.numerical_gradient(f, x), expected, **CLOSE, what="數值梯度")


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layout(submission, rng, dtype):
    """不連續的 x；float32 也提升成 float64"""
    x = rng.strided((4, 3, 2), dtype=dtype)
    f, formula = smooth("sin", rng, (4, 3, 2))
    expected = formula(x.double())
    assert_close(submission.numerical_gradient(f, x), expected, **CLOSE, what=f"{dtype} 的數值梯度")


@pytest.mark.numeric
def test_eps(submission, rng):
    """eps 照中央差分的公式使用"""
    x, a, b = rng.normal((5,), dtype="float64"), *(rng.uniform((5,), 1, 2, dtype="float64") for _ in range(2))
    for eps in (0.25, 0.1):
        # a·x³ 的中央差分恰好是 3a·x² + a·eps²；(b·x)² 的沒有誤差，但要在其他元素都沒有動的地方算。
        expected = 3 * a * x * x + a * eps**2 + 2 * b * (b @ x)
        result = submission.numerical_gradient(lambda t: (a * t**3).sum() + (b @ t) ** 2, x, eps)
        assert_close(result, expected, **CLOSE, what=f"eps={eps} 的中央差分")


@pytest.mark.numeric
def test_one_element(submission, rng):
    """只取 x 的一個元素的函數"""
    x = rng.normal((3, 4), dtype="float64")
    expected = torch.zeros_like(x)
    expected[1, 2] = 1
    assert_close(submission.numerical_gradient(lambda t: t[1, 2], x), expected, **CLOSE, what="t[1, 2] 的數值梯度")


@pytest.mark.numeric
def test_backward_is_not_used(submission, operated):
    """f 的 backward 是錯的，數值梯度仍正確"""
    f, x, expected = operated("factor")
    assert_close(submission.numerical_gradient(f, x), expected, **CLOSE, what="數值梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_right(submission, rng, operated, dtype):
    """正確的梯度：True"""
    f, x, _ = operated()
    assert_equal(submission.check_gradient(f, cast(x, dtype)), True, "手寫 backward 正確的函數")
    for name in ("sin", "exp", "norm"):
        g, _ = smooth(name, rng, (2, 3))
        assert_equal(submission.check_gradient(g, rng.strided((2, 3), dtype=dtype)), True, f"torch 的函數 {name} ")


@pytest.mark.behaviour
@pytest.mark.parametrize("fault", ["factor", "sign", "index", "missing", "nan"])
def test_faults(submission, operated, fault):
    """錯誤的 backward：False"""
    f, x, _ = operated(fault)
    names = {"factor": "差一個倍數", "sign": "正負號相反", "index": "排錯位置", "missing": "少一項", "nan": "有 NaN "}
    assert_equal(submission.check_gradient(f, x), False, f"backward {names[fault]}的函數")


@pytest.mark.behaviour
def test_large_gradient(submission, operated):
    """梯度約 1e6，正確的仍是 True"""
    # f 約 1e6，差分的捨入誤差約 1e-4：比 atol 大，與梯度相比卻微不足道。
    f, x, _ = operated()
    assert_equal(submission.check_gradient(lambda t: 3e6 * f(t), x), True, "梯度約 1e6 的正確函數")


@pytest.mark.behaviour
def test_zero_gradient(submission, operated):
    """有些元素的梯度幾乎是 0，正確的仍是 True"""
    # 差分在這些元素的捨入誤差約 1e-9，與梯度一樣大：相對誤差說明不了什麼。
    f, x, _ = operated()
    both = torch.cat([x, x + 0.3], dim=-1)
    found = submission.check_gradient(lambda t: f(t[:, :5]) + 20 + 1e-9 * t[:, 5:].sin().sum(), both)
    assert_equal(found, True, "有些元素的梯度約 1e-9 的正確函數")


@pytest.mark.behaviour
def test_small_beside_large(submission, operated):
    """大的元素旁邊，小元素的錯也看得出來"""
    f, x, _ = operated("factor")
    both = torch.cat([x, x + 0.3], dim=-1)
    found = submission.check_gradient(lambda t: f(t[:, :5]) + 1e6 * t[:, 5:].sin().sum(), both)
    assert_equal(found, False, "小的元素錯了、大的元素（約 1e6）正確的函數")


@pytest.mark.behaviour
@pytest.mark.parametrize("name", ["rtol", "atol"])
def test_tolerances(submission, rng, name):
    """rtol、atol 各自放寬判斷"""

    class Off(torch.autograd.Function):
        """恆等函數，梯度乘以 1.001 再加 0.001。"""

        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * 1.001 if name == "rtol" else grad + 1e-3

    w = rng.uniform((6,), 1, 2, dtype="float64") if name == "rtol" else torch.zeros(6).to(rng.device, torch.float64)
    x = rng.normal((6,), dtype="float64")
    off = {"rtol": "梯度差 0.1%", "atol": "梯度 0 算成 0.001"}[name]
    wanted = {(): False, (name,): True}
    for given, expected in wanted.items():
        found = submission.check_gradient(lambda t: (Off.apply(t) * w).sum(), x, **dict.fromkeys(given, 1e-2))
        assert_equal(found, expected, f"{off}、{f'{name}=0.01' if given else '預設的容許誤差'}時的結果")


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["numerical_gradient", "check_gradient"])
def test_not_scalar(submission, rng, function):
    """非純量的 f：ValueError"""
    with raises(ValueError, 7):
        getattr(submission, function)(torch.sin, rng.normal((7,), dtype="float64"))


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["numerical_gradient", "check_gradient"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_x_is_left_alone(submission, rng, function, dtype):
    """x 的每一個位元、requires_grad、grad 都不變"""
    f, _ = smooth("sin", rng, (3, 5))
    plain, leaf = 3 * rng.normal((3, 5), dtype=dtype), rng.normal((3, 5), dtype=dtype, requires_grad=True)
    leaf.grad = rng.normal((3, 5), dtype=dtype)
    for x in (plain, leaf):
        with unchanged(x):
            getattr(submission, function)(f, x)
