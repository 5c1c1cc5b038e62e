"""070 · autograd 工具：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_memory_growth,
    assert_shape,
    assert_within_budget,
    check,
    count_calls,
    forbid,
    raises,
    torch,
    unchanged,
)

pytestmark = forbid("torch.autograd.functional", "torch.func.jacrev", "torch.func.jacfwd", "torch.func.hessian")

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def scalar_case(name, rng, n):
    """(f, 梯度的公式, H v 的公式)：f 由 (n,) 到純量，係數每次不同。"""
    if name == "quadratic":  # ½ xᵀAx + b·x，A 不對稱
        matrix, b = rng.normal((n, n), dtype="float64"), rng.normal((n,), dtype="float64")
        both = (matrix + matrix.T) / 2
        return (
            lambda t: t @ matrix @ t / 2 + b @ t,
            lambda x: both @ x + b,
            lambda x, v: both @ v,
        )
    if name == "exp":  # exp(a·x)
        a = 0.4 * rng.normal((n,), dtype="float64")
        return (
            lambda t: (a * t).sum().exp(),
            lambda x: a * (a @ x).exp(),
            lambda x, v: a * (a @ v) * (a @ x).exp(),
        )
    scale = rng.uniform((), 0.5, 1.5, dtype="float64")  # log Σ exp(s·x)

    def softmax(x):
        weights = (scale * x - (scale * x).max()).exp()
        return weights / weights.sum()

    return (
        lambda t: (scale * t).logsumexp(0),
        lambda x: scale * softmax(x),
        lambda x, v: scale**2 * softmax(x) * (v - softmax(x) @ v),
    )


SCALARS = pytest.mark.parametrize("name", ["quadratic", "exp", "logsumexp"])


@pytest.fixture
def ignoring(rng):
    """ignoring(shape)：不理會 x 的函數，沒有 grad_fn 的與有 grad_fn 的。"""

    def make(shape):
        c, w = rng.normal(shape, dtype="float64"), rng.normal(shape, dtype="float64", requires_grad=True)
        return {"傳回沒有 grad_fn 的常數": lambda t: c, "傳回別的參數算出的值": lambda t: w * 2}

    return make


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, dtype):
    """結果的形狀與 dtype"""
    for shape in [(), (1,), (5,), (2, 3), (4, 1, 2)]:
        result = submission.gradient(lambda t: (t * t).sum(), rng.normal(shape, dtype=dtype))
        assert_shape(result, shape, "gradient 的結果")
        assert_dtype(result, dtype, "gradient 的結果")
    x, v, matrix = (rng.normal(shape, dtype=dtype) for shape in [(5,), (5,), (3, 5)])
    results = {
        "jacobian": (submission.jacobian(lambda t: matrix @ t.sin(), x), (3, 5)),
        "hvp": (submission.hvp(lambda t: t.sin().sum(), x, v), (5,)),
    }
    for name, (result, shape) in results.items():
        assert_shape(result, shape, f"{name} 的結果")
        assert_dtype(result, dtype, f"{name} 的結果")


@pytest.mark.gradient
@SCALARS
def test_gradient(submission, rng, name):
    """gradient 與公式相同"""
    f, formula, _ = scalar_case(name, rng, 6)
    x = rng.normal((6,), dtype="float64")
    expected = formula(x)
    assert_close(submission.gradient(f, x), expected, **EXACT, what="梯度")


@pytest.mark.gradient
def test_gradient_of_matrices(submission, rng):
    """多維、不連續的 x；f(x) 只有一個元素但不是純量，或數值很大"""
    x, w = rng.strided((3, 4), dtype="float64"), rng.normal((4, 2), dtype="float64")
    expected = [2 * (x @ w) @ w.T, x.cos() * (x.sin().prod() / x.sin()), x.cos()]
    results = [
        submission.gradient(lambda t: (t @ w).square().sum().reshape(1, 1), x),
        submission.gradient(lambda t: t.sin().prod(), x),
        submission.gradient(lambda t: t.sin().sum() + 1e6, x),  # finite differences keep five digits
    ]
    assert_close(results, expected, **EXACT, what="梯度")


@pytest.mark.gradient
@pytest.mark.parametrize("m, n", [(3, 7), (8, 2), (5, 5), (1, 4), (4, 1)])
def test_jacobian(submission, rng, m, n):
    """jacobian 與公式相同"""
    w, x, b = rng.normal((m, n), dtype="float64"), rng.normal((n,), dtype="float64"), rng.normal((m,), dtype="float64")
    y = w @ x.sin() + b
    expected = [w * x.cos(), y.exp()[:, None] * w * x.cos()]
    results = [
        submission.jacobian(lambda t: w @ t.sin() + b, x),
        submission.jacobian(lambda t: (w @ t.sin() + b).exp(), x),
    ]
    assert_close(results, expected, **EXACT, what="Jacobian")


@pytest.mark.gradient
@SCALARS
def test_hvp(submission, rng, name):
    """hvp 與公式相同"""
    f, _, formula = scalar_case(name, rng, 6)
    x, v = rng.normal((6,), dtype="float64"), rng.normal((6,), dtype="float64")
    expected = formula(x, v)
    with unchanged(v):
        result = submission.hvp(f, x, v)
    assert_close(result, expected, **EXACT, what="H v")


@pytest.mark.gradient
def test_hvp_of_large_slopes(submission, rng):
    """斜率很大時 hvp 仍準確"""
    # 梯度約 1e8：有限差分相減時只剩 1e8 · 1e-16 / eps 的準確度，autograd 則與斜率無關。
    x, v, a = (rng.uniform((5,), 0.5, 1.5, dtype="float64") for _ in range(3))
    expected = -a.square() * (a * x).sin() * v
    result = submission.hvp(lambda t: (a * t).sin().sum() + 1e8 * (a * t).sum(), x, v)
    assert_close(result, expected, **EXACT, what="H v")


@pytest.mark.gradient
@pytest.mark.parametrize("function", ["gradient", "jacobian", "hvp"])
def test_ignored(submission, rng, ignoring, function):
    """f 不理會 x 時導數是 0"""
    x, v = rng.normal((5,), dtype="float64"), rng.normal((5,), dtype="float64")
    for name, f in ignoring((3,) if function == "jacobian" else ()).items():
        arguments = (f, x, v) if function == "hvp" else (f, x)
        expected = torch.zeros((3, 5) if function == "jacobian" else (5,)).to(x)
        assert_close(getattr(submission, function)(*arguments), expected, what=f"f {name}時，{function} 的結果")


@pytest.mark.gradient
def test_partly_ignored(submission, rng):
    """沒有用到的元素、輸出與二階導數是 0"""
    x, v, c = rng.normal((5,), dtype="float64"), rng.normal((5,), dtype="float64"), rng.normal((2,), dtype="float64")
    w = rng.normal((5,), dtype="float64", requires_grad=True)
    zeros, cosines, second = torch.zeros_like(x), x.cos(), torch.zeros_like(x)
    second[1] = cosines[1]
    wanted = {
        "gradient（只用到 x[1]）": second,
        "jacobian（第 1、2 個輸出是常數）": torch.stack([cosines, zeros, zeros]),
        "hvp（線性函數）": zeros,
        "hvp（係數需要梯度的線性函數）": zeros,
    }
    found = {
        "gradient（只用到 x[1]）": submission.gradient(lambda t: t[1].sin(), x),
        "jacobian（第 1、2 個輸出是常數）": submission.jacobian(lambda t: torch.cat([t.sin().sum()[None], c]), x),
        "hvp（線性函數）": submission.hvp(lambda t: 3 * t.sum(), x, v),
        "hvp（係數需要梯度的線性函數）": submission.hvp(lambda t: w @ t, x, v),
    }
    assert_close(found, wanted, **EXACT, what="結果")


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["gradient", "jacobian", "hvp"])
def test_x_is_left_alone(submission, rng, function):
    """x 維持原樣：數值、requires_grad、grad"""
    tool, v = getattr(submission, function), rng.normal((4,), dtype="float64")
    plain, leaf, used = (rng.normal((4,), dtype="float64", requires_grad=flag) for flag in (False, True, True))
    used.grad = rng.normal((4,), dtype="float64")
    for x in (used, leaf, 2 * leaf, plain):
        with unchanged(x):
            if function == "jacobian":
                tool(lambda t: t.sin(), x)
            else:
                tool(lambda t: t.sin().sum(), x, *([v] if function == "hvp" else []))
    check(leaf.grad is None, "x 是中間結果時，上游的 grad 被填了值：梯度應停在 x", leaf.grad)


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["gradient", "jacobian", "hvp"])
def test_parameters_are_left_alone(submission, rng, function):
    """f 用到的其他張量的 grad 不變"""
    x, v, w = (rng.normal((4,), dtype="float64", requires_grad=flag) for flag in (False, False, True))
    if function == "jacobian":
        submission.jacobian(lambda t: (w * t).sin(), x)
    else:
        getattr(submission, function)(lambda t: (w * t).sin().sum(), x, *([v] if function == "hvp" else []))
    check(w.grad is None, "f 裡的參數的 grad 被填了值：只該求對 x 的梯度", w.grad)


@pytest.mark.behaviour
@pytest.mark.parametrize("name", ["sin", "ones_like"])
def test_more_than_one_element(submission, rng, name):
    """gradient 遇到多於一個元素的 f(x)：ValueError，不理會 x 的也是"""
    with raises(ValueError, 7):
        submission.gradient(getattr(torch, name), rng.normal((7,)))


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["jacobian", "hvp"])
def test_backward_passes(submission, rng, function):
    """反向傳播的次數不隨大小增加"""
    found = []
    for size in (3, 600):
        # 反向一次，cosh 與 sinh 的導數就各算一次；f 自己的前向不計。
        w, x, v = rng.normal((size, 4)), rng.normal((4 if function == "jacobian" else size,)), rng.normal((size,))
        with count_calls("aten::cosh", "aten::sinh") as counts:
            if function == "jacobian":
                submission.jacobian(lambda t, w=w: w @ t.sinh(), x)
            else:
                submission.hvp(lambda t: t.cosh().sum(), x, v)
        found.append(counts.total())
    size = "輸出" if function == "jacobian" else "輸入"
    message = f"{size} 3 個時反向算了 {found[0]} 次，600 個時 {found[1]} 次：{function} 的次數不該隨大小增加"
    check(found[1] <= found[0], message, found)


@pytest.mark.behaviour
def test_hvp_memory(submission, rng):
    """n = 10,000 的 hvp 不建 Hessian"""
    n = 10_000
    x, v, a = (rng.normal((n,)) for _ in range(3))
    expected = a.double() * (a.double() @ v.double()) / 100
    with assert_memory_growth(200):
        result = submission.hvp(lambda t: (a * t).sum().square() / 200, x, v)
    assert_close(result, expected, rtol=1e-4, atol=1e-4, what="H v")  # 一萬項的和，float32


@pytest.mark.speed
def test_jacobian_speed(submission, reference, rng):
    """64 個輸出的 jacobian"""
    # 參考解 1；torch.func.vjp 加 vmap 1.2；複製 64 份 x 再反向一次 1.4；前向模式（jvp 加 vmap）8；
    # 逐個輸出反向 45，運算四千多個（參考解約 140 個），計數就先擋下。上限是 8 與 45 的幾何平均。
    w = rng.normal((64, 48)) / 16

    def f(t):
        for _ in range(8):
            t = (1.1 * t).sin().exp().cos()
        return w @ t

    def inputs():
        return (rng.normal((48,)),)

    assert_within_budget(lambda x: submission.jacobian(f, x), lambda x: reference.jacobian(f, x), inputs, factor=18)
