"""068 · 梯度截斷：評分"""

import math

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    check,
    count_calls,
    fail,
    forbid,
    nn,
    torch,
    unchanged,
)

pytestmark = forbid(
    "torch.nn.utils.clip_grad_norm_",
    "torch.nn.utils.clip_grad_value_",
    "torch.nn.utils.get_total_norm",
    "torch.nn.utils.clip_grads_with_norm_",
)

SHAPES = [(3, 4), (5,), (), (2, 3, 2)]
NORMS = pytest.mark.parametrize("norm_type", [1.0, 3.0, math.inf], ids=["1", "3", "inf"])
EXACT = {"rtol": 1e-5, "atol": 0}  # 只有乘法：相對誤差就夠


@pytest.fixture
def parameters(rng):
    """parameters(scale)：形狀不一的參數，梯度的最後一個不連續；with_none 時中間夾著沒有梯度的。"""

    def make(scale=1.0, dtype="float32", with_none=False):
        result = []
        for number, shape in enumerate(SHAPES):
            parameter = rng.normal(shape, dtype=dtype, requires_grad=True)
            source = rng.strided if number == len(SHAPES) - 1 else rng.normal
            values = (number + 1) * source(shape, dtype=dtype)
            parameter.grad = scale * (values + 0.5 * values.sign())  # 絕對值都不小於 0.5
            result += [parameter, rng.normal((2,), requires_grad=True)] if with_none else [parameter]
        return result

    return make


def grads(parameters):
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def copies(parameters):
    """梯度的 float64 副本。"""
    return [grad.double().clone() for grad in grads(parameters)]


def norm_of(values, norm_type):
    """float64 的整體範數。"""
    flat = torch.cat([value.double().reshape(-1) for value in values]).abs()
    return flat.max() if norm_type == math.inf else (flat**norm_type).sum() ** (1 / norm_type)


def oracle(parameters, max_norm, norm_type=2.0):
    """torch.nn.utils 在 float64 的副本上的結果：(範數, 梯度)。"""
    doubles = [nn.Parameter(torch.zeros_like(value)) for value in copies(parameters)]
    for double, value in zip(doubles, copies(parameters), strict=True):
        double.grad = value
    return nn.utils.clip_grad_norm_(doubles, max_norm, norm_type), grads(doubles)


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_result(submission, parameters, dtype):
    """傳回純量張量，dtype 與梯度相同"""
    norm = submission.clip_grad_norm(parameters(dtype=dtype), 1.0)
    assert_shape(norm, (), what="範數")
    assert_dtype(norm, dtype, what="範數")


@pytest.mark.numeric
@NORMS
def test_norm(submission, parameters, norm_type):
    """傳回截斷之前的範數"""
    given = parameters()
    expected = norm_of(copies(given), norm_type)
    norm = submission.clip_grad_norm(given, 0.3 * float(expected), norm_type)
    assert_close(norm, expected, **EXACT, what="範數")


@pytest.mark.numeric
@NORMS
def test_clipped(submission, parameters, norm_type):
    """截斷後的梯度與 torch.nn.utils 相同"""
    given = parameters()
    max_norm = 0.4 * float(norm_of(copies(given), norm_type))
    _, expected = oracle(given, max_norm, norm_type)
    submission.clip_grad_norm(given, max_norm, norm_type)
    assert_close(grads(given), expected, **EXACT, what="截斷後的梯度")


@pytest.mark.numeric
@pytest.mark.parametrize("dtype, rtol", [("float32", 1e-5), ("float64", 1e-12)], ids=["float32", "float64"])
def test_default_norm(submission, parameters, dtype, rtol):
    """norm_type 預設為 2；float64 的梯度以 float64 算"""
    given = parameters(dtype=dtype)
    norm, expected = oracle(given, 1.5)
    found = submission.clip_grad_norm(given, 1.5)
    assert_close({"範數": found, "梯度": grads(given)}, {"範數": norm, "梯度": expected}, rtol=rtol, atol=0)


@pytest.mark.numeric
def test_tiny_gradients(submission, parameters):
    """很小的梯度：分母裡有 1e-6"""
    given = parameters()
    shrink = 3e-6 / float(norm_of(copies(given), 2.0))
    for grad in grads(given):
        grad.mul_(shrink)
    expected = [value * (1e-6 / (norm_of(copies(given), 2.0) + 1e-6)) for value in copies(given)]
    submission.clip_grad_norm(given, 1e-6)
    assert_close(grads(given), expected, **EXACT, what="範數是 3e-6、max_norm=1e-6 時，截斷後的梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("case", ["below", "zero", "no-limit"])
def test_small_gradients(submission, parameters, case):
    """範數不超過 max_norm 時一個位元都不變"""
    given = parameters(scale=0.0 if case == "zero" else 1.0)
    norm = norm_of(copies(given), 2.0)
    max_norm = {"below": 1.3 * float(norm), "zero": 0.7, "no-limit": math.inf}[case]
    before = [grad.clone() for grad in grads(given)]
    found = submission.clip_grad_norm(given, max_norm)
    assert_equal(grads(given), before, what="不必截斷的梯度")
    assert_close(found, norm, **EXACT, what="範數")


@pytest.mark.numeric
def test_value(submission, parameters, tensor):
    """clip_grad_value 兩邊都截"""
    given = parameters()
    given[1].grad = tensor([-5.0, -0.3, 0.2, 0.9, 4.0])
    expected = [value.clamp(-1.2, 1.2) for value in copies(given)]
    submission.clip_grad_value(given, 1.2)
    assert_close(grads(given), expected, **EXACT, what="截斷後的梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["clip_grad_norm", "clip_grad_value"])
@pytest.mark.parametrize("kind", ["tensor", "iterator"])
def test_parameters(submission, parameters, function, kind):
    """單一張量、只能走一遍的 iterator 都可以"""
    given = parameters()[:1] if kind == "tensor" else parameters()
    norm = norm_of(copies(given), 2.0)
    if function == "clip_grad_norm":
        expected = oracle(given, 0.9)[1]
    else:
        expected = [value.clamp(-0.7, 0.7) for value in copies(given)]
    passed = given[0] if kind == "tensor" else iter(given)
    if function == "clip_grad_norm":
        assert_close(submission.clip_grad_norm(passed, 0.9), norm, **EXACT, what="範數")
    else:
        submission.clip_grad_value(passed, 0.7)
    assert_close(grads(given), expected, **EXACT, what="截斷後的梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["clip_grad_norm", "clip_grad_value"])
def test_none(submission, parameters, function):
    """略過 .grad 為 None 的參數"""
    given = parameters(with_none=True)
    expected = oracle(given, 0.8)[1] if function == "clip_grad_norm" else [v.clamp(-0.8, 0.8) for v in copies(given)]
    getattr(submission, function)(given, 0.8)
    check(all(p.grad is None for p in given[1::2]), "原本沒有梯度的參數有了梯度", "grad")
    assert_close(grads(given), expected, **EXACT, what="截斷後的梯度")


@pytest.mark.behaviour
def test_nothing_to_clip(submission, rng):
    """沒有參數、或全都沒有梯度時傳回 0"""
    for given in ([], iter([]), [rng.normal((2,), requires_grad=True)]):
        norm = submission.clip_grad_norm(given, 1.0)
        assert_shape(norm, (), what="範數")
        check(float(norm) == 0, f"沒有梯度時的範數應為 0，得到 {float(norm)}", norm)


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["clip_grad_norm", "clip_grad_value"])
def test_in_place(submission, parameters, function):
    """改在原有的梯度張量上"""
    given = parameters()
    held, before = grads(given), [grad.detach() for grad in grads(given)]  # detach 與原來的共用記憶體
    expected = oracle(given, 0.8)[1] if function == "clip_grad_norm" else [v.clamp(-0.8, 0.8) for v in copies(given)]
    getattr(submission, function)(given, 0.8)
    if any(parameter.grad is not grad for parameter, grad in zip(given, held, strict=True)):
        fail(".grad 換成了另一個張量；要就地修改原來的", "replaced")
    assert_close(before, expected, **EXACT, what="原有的梯度張量的記憶體")


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["clip_grad_norm", "clip_grad_value"])
def test_weights(submission, parameters, function):
    """不改動權重"""
    given = parameters()
    with unchanged(*[parameter.detach() for parameter in given]):
        getattr(submission, function)(given, 0.8)


@pytest.mark.behaviour
@pytest.mark.parametrize("function", ["clip_grad_norm", "clip_grad_value"])
def test_synchronisations(submission, parameters, function):
    """讀回 Python 的次數不隨參數個數增加"""
    found = []
    for copies_of in (1, 8):
        given = [parameter for _ in range(copies_of) for parameter in parameters()]
        with count_calls("aten::_local_scalar_dense", "Tensor.tolist", "Tensor.numpy", "Tensor.cpu") as counts:
            getattr(submission, function)(given, 0.8)
        found.append(counts.total())
    message = f"4 個參數時把張量的值讀回 Python {found[0]} 次，32 個參數時 {found[1]} 次：每個參數都讀了一次"
    check(found[0] >= found[1], message, found)
