"""005 · 多項式的梯度：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_shape,
    check,
    raises,
    torch,
    unchanged,
)

SHAPES = [(), (5,), (2, 3), (3, 1, 4)]


def derivative(x):
    """3x² + 4x − 5，以 float64 計算。"""
    x = x.detach().double()
    return (3 * x + 4) * x - 5


def whole(rng, shape, dtype="float32"):
    """−3 到 3 的整數值：float32 裡任何寫法都沒有捨入誤差。"""
    return rng.integers(-3, 4, shape).to(getattr(torch, dtype))


# ── polynomial ──


@pytest.mark.numeric
@pytest.mark.parametrize("shape", [(), (2, 3)], ids=str)
def test_polynomial(submission, rng, shape):
    """polynomial：值符合公式"""
    for dtype in ("float32", "float64"):
        x = whole(rng, shape, dtype) if dtype == "float32" else rng.uniform(shape, -3, 3, dtype=dtype)
        expected = ((x.double() + 2) * x.double() - 5) * x.double() + 1
        with unchanged(x):
            y = submission.polynomial(x)
        assert_close(y, expected, what="polynomial 的值")
        assert_dtype(y, dtype, "polynomial 的值")


# ── polynomial_gradient ──


@pytest.mark.numeric
def test_at_two(submission, tensor):
    """x = 2 的梯度是 15"""
    assert_close(submission.polynomial_gradient(tensor(2.0)), tensor(15.0, dtype="float64"), what="梯度")


@pytest.mark.shape
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_shape(submission, rng, shape):
    """梯度與 x 同形、同 dtype，每個元素都對"""
    for dtype in ("float32", "float64"):
        x = whole(rng, shape, dtype)
        expected = derivative(x)
        gradient = submission.polynomial_gradient(x)
        assert_close(gradient, expected, what="梯度")
        assert_shape(gradient, shape, "梯度")
        assert_dtype(gradient, dtype, "梯度")


@pytest.mark.gradient
@pytest.mark.parametrize("name", ["sin(2x)", "x*exp(-x)+3", "x*x.detach()"])
def test_other_function(submission, rng, monkeypatch, name):
    """polynomial 換成別的函式後，得到新函式的導數"""
    function, slope = {
        "sin(2x)": (lambda x: torch.sin(2 * x), lambda x: 2 * torch.cos(2 * x)),
        "x*exp(-x)+3": (lambda x: x * torch.exp(-x) + 3, lambda x: (1 - x) * torch.exp(-x)),
        # autograd 把 detach 的那個 x 當作常數，差分則看到 x²。
        "x*x.detach()": (lambda x: x * x.detach(), lambda x: x.clone()),
    }[name]
    x = rng.normal((3, 4), dtype="float64")
    expected = slope(x)
    submission.polynomial_gradient(x.clone())  # 先算一次原來的：記住結果或函式也沒有用
    monkeypatch.setattr(submission, "polynomial", function)
    assert_close(submission.polynomial_gradient(x), expected, what=f"polynomial 換成 {name} 後的梯度")


@pytest.mark.behaviour
def test_twice(submission, rng):
    """連續兩次呼叫，結果相同（不累加）"""
    x = rng.uniform((2, 5), 1, 3, dtype="float64")
    expected = derivative(x)
    first = submission.polynomial_gradient(x)
    second = submission.polynomial_gradient(x)
    assert_close(second, expected, what="第二次的梯度")
    assert_close(first, expected, what="第二次呼叫之後，第一次的梯度")


@pytest.mark.behaviour
def test_existing_grad(submission, rng):
    """x 已有 grad 時，grad 不變，結果也不受影響"""
    x = rng.uniform((4, 3), 1, 3, dtype="float64", requires_grad=True)
    x.grad = rng.normal((4, 3), dtype="float64")
    expected, grad = derivative(x), x.grad.clone()
    gradient = submission.polynomial_gradient(x)
    assert_close(gradient, expected, what="梯度")
    check(x.grad is not None, "x 原有的 grad 被清掉了（None）", "grad None")
    assert_close(x.grad, grad, rtol=0, atol=0, what="呼叫之後，x.grad ")


@pytest.mark.behaviour
def test_no_trace(submission, rng):
    """x 的值、grad 與 requires_grad 不變"""
    for requires_grad in (False, True):
        x = rng.normal((4, 3), requires_grad=requires_grad)
        with unchanged(x):
            submission.polynomial_gradient(x)


@pytest.mark.behaviour
def test_intermediate(submission, rng):
    """x 是計算圖中間的結果時也能用，計算圖不變"""
    leaf, scale = rng.normal((3, 4), dtype="float64", requires_grad=True), rng.normal((3, 4), dtype="float64")
    x = leaf * scale
    expected, node = derivative(x), x.grad_fn
    assert_close(submission.polynomial_gradient(x), expected, what="梯度")
    check(x.requires_grad and x.grad_fn is node, "x 的計算圖變了", "graph changed")
    check(leaf.grad is None, "梯度傳到了 x 之前的張量：它的 grad 應仍是 None", leaf.grad)
    x.sum().backward()
    assert_close(leaf.grad, scale, what="之後對 x 反向傳播的梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("requires_grad", [False, True], ids=["plain", "requires_grad"])
def test_no_graph(submission, rng, requires_grad):
    """結果不帶計算圖"""
    gradient = submission.polynomial_gradient(rng.normal((2, 3), requires_grad=requires_grad))
    check(not gradient.requires_grad, "結果的 requires_grad 是 True：它還帶著計算圖", gradient)


@pytest.mark.behaviour
def test_no_grad(submission, rng):
    """在 torch.no_grad() 裡可用"""
    x = rng.uniform((2, 3), dtype="float64")
    expected = derivative(x)
    with torch.no_grad():
        gradient = submission.polynomial_gradient(x)
        check(not torch.is_grad_enabled(), "呼叫之後，no_grad 失效了", "grad mode")
    assert_close(gradient, expected, what="梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_integers(submission, tensor, dtype):
    """整數張量拋出 TypeError"""
    with raises(TypeError, "int"):
        submission.polynomial_gradient(tensor([1, 2, 3], dtype=dtype))
