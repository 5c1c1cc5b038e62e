"""Comparison of values: what is accepted, what is refused, and what a refusal says."""

import math
from collections import Counter, OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import tv_tensors

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_finite,
    assert_shape,
    assert_tensor,
    assert_type,
    cast,
    check,
)
from torch_kata.checks.record import CheckFailed

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.complex64, torch.complex128]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # nested and sparse tensors are announced as beta

Pair = namedtuple("Pair", "x y")


def refusal(function, *arguments, **keywords):
    """The message of the failure that a call must end with."""
    with pytest.raises(CheckFailed) as caught:
        function(*arguments, **keywords)
    return str(caught.value)


def accepts(actual, expected, **keywords):
    try:
        assert_close(actual, expected, **keywords)
    except CheckFailed:
        return False
    return True


def says(message, *parts):
    """Whether all parts stand in the message, which is one line."""
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, (part, message)


# ── assert_close: tolerance ──


@pytest.mark.parametrize("dtype", [*DTYPES, torch.complex32], ids=str)
def test_tolerances_are_those_of_torch(dtype):
    from torch.testing._comparison import default_tolerances

    from torch_kata.checks.closeness import TOLERANCES

    assert TOLERANCES[str(dtype).removeprefix("torch.")] == default_tolerances(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_decisions_near_the_threshold_are_those_of_torch(dtype):
    rtol, atol = torch.testing._comparison.default_tolerances(dtype)
    generator, decisions = torch.Generator().manual_seed(7), Counter()
    for magnitude in (1e-7, 1e-4, 1.0, 300.0):
        for _ in range(12):
            expected = (torch.randn((), generator=generator, dtype=torch.float64) * magnitude).to(dtype)
            wide = expected.to(torch.complex128 if dtype.is_complex else torch.float64)
            for part in (0.3, 0.8, 1.25, 3.0):
                actual = (wide + part * (atol + rtol * wide.abs())).to(dtype)
                exact = (actual.to(wide.dtype) - wide).abs() / (atol + rtol * wide.abs())
                if 0.95 < exact < 1.05:  # torch computes the error itself in the narrow dtype
                    continue
                try:
                    torch.testing.assert_close(actual, expected)
                    theirs = True
                except AssertionError:
                    theirs = False
                assert accepts(actual, expected) == accepts(actual, wide) == theirs, (actual, expected, part)
                decisions[theirs] += 1
    assert min(decisions.values()) > 12


def test_truth_in_float64_is_cast_down():
    truth = torch.tensor([1 / 3, 1e5, -1e39, 1e-50], dtype=torch.float64)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        assert_close(truth.to(dtype), truth)
        assert_close(truth.to(dtype), truth, rtol=0, atol=0)


def test_lower_precision_of_the_truth_counts():
    truth = torch.tensor([1 / 3], dtype=torch.float64)
    assert_close(truth, truth.float())
    says(refusal(assert_close, truth, truth.float(), rtol=0, atol=1e-12), "0.333333333")


def test_own_tolerance():
    assert_close(torch.tensor(1.1), torch.tensor(1.0), atol=0.2)
    says(refusal(assert_close, torch.tensor(1.3), torch.tensor(1.0), atol=0.2, rtol=0), "應為 1，得到 1.3", "atol=0.2")
    assert_close(torch.tensor([3, 200], dtype=torch.uint8), torch.tensor([4, 199], dtype=torch.uint8), atol=1, rtol=0)
    message = refusal(
        assert_close, torch.tensor([0], dtype=torch.uint8), torch.tensor([255], dtype=torch.uint8), atol=1
    )
    says(message, "應為 255，得到 0")


# ── assert_close: where, and how much ──


def test_largest_error_and_its_place():
    expected = torch.arange(24.0).reshape(2, 3, 4)
    actual = expected.clone()
    actual[0, 1, 2], actual[1, 2, 0], actual[1, 0, 3] = 6.5, 25.0, 14.0
    message = refusal(assert_close, actual, expected.double(), what="輸出")
    says(message, "輸出不符", "24 個值中有 3 個", "索引 (1, 2, 0)", "應為 20，得到 25", "rtol=1.3e-06", "atol=1e-05")


@pytest.mark.parametrize("what, begins", [("std", "std 不符"), ("x 的 std", "x 的 std 不符"), ("輸出", "輸出不符")])
def test_a_name_in_latin_letters_stands_apart(what, begins):
    assert refusal(assert_close, torch.tensor(1.0), torch.tensor(2.0), what=what).startswith(begins)
    message = refusal(assert_dtype, torch.tensor(1.0), "float64", what=what)
    assert message.startswith(begins.removesuffix("不符") + "的 dtype")


def test_place_in_one_dimension_and_in_none():
    says(refusal(assert_close, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0])), "索引 1 處", "應為 3，得到 2")
    message = refusal(assert_close, torch.tensor(1.0), torch.tensor(2.0))
    says(message, "應為 2，得到 1")
    assert "索引" not in message and "個值" not in message


def test_close_numbers_are_told_apart():
    x = torch.tensor([1.0], dtype=torch.float64)
    says(refusal(assert_close, x + 2e-6, x), "應為 1，得到 1.000002")
    message = refusal(assert_close, x + 1e-12, x, rtol=0, atol=0)
    wanted, _, found = message.partition("應為 ")[2].partition("，得到 ")
    assert float(wanted) == 1.0 and float(found) == float(x + 1e-12)


def test_nan_at_one_place_only():
    nan, x = torch.tensor([1.0, math.nan]), torch.tensor([1.0, 2.0])
    assert_close(nan, nan.double())
    says(refusal(assert_close, nan, x), "索引 1", "應為 2，得到 nan")
    says(refusal(assert_close, x, nan), "索引 1", "應為 nan，得到 2")
    mixed = torch.tensor([9.0, math.nan, 1.0])
    says(refusal(assert_close, mixed, torch.tensor([1.0, 2.0, 1.0])), "索引 1", "3 個值中有 2 個")


@pytest.mark.parametrize("wrong", [5.0, -math.inf, math.nan, 3e38])
def test_infinity_is_equal_to_itself_only(wrong):
    expected = torch.tensor([1.0, math.inf])
    assert_close(expected, expected.double())
    says(refusal(assert_close, torch.tensor([1.0, wrong]), expected), "索引 1", "應為 inf")
    says(refusal(assert_close, torch.tensor([1.0, math.inf]), torch.tensor([1.0, wrong])), "得到 inf")
    says(refusal(assert_close, wrong, math.inf), "應為 inf")


# ── assert_close: kinds of tensors ──


def test_bool_and_integers():
    mask = torch.tensor([True, False])
    assert_close(mask, mask.clone())
    says(refusal(assert_close, mask, ~mask), "2 個值中有 2 個", "應為 False，得到 True")
    big = torch.tensor([2**53 + 1, 5])
    assert_close(big, big.clone())
    says(refusal(assert_close, big, torch.tensor([2**53, 5])), f"應為 {2**53}，得到 {2**53 + 1}")
    says(refusal(assert_close, torch.tensor([2]), torch.tensor([2.7], dtype=torch.float64)), "應為 2.7，得到 2")
    says(refusal(assert_close, torch.tensor([2]), torch.tensor([2.7]), rtol=1e-3, atol=1e-3), "應為 2.7，得到 2")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.uint16, torch.uint32, torch.uint64])
def test_small_and_unsigned_integers(dtype):
    x = torch.tensor([0, 3, 7]).to(dtype)
    assert_close(x, x.clone())
    assert_equal(x, x.clone())
    refusal(assert_close, x, torch.tensor([0, 3, 6]).to(dtype))
    refusal(assert_close, torch.tensor([255], dtype=torch.uint8), torch.tensor([-1]))


def test_complex():
    z = torch.tensor([1 + 2j, 3 - 1j])
    assert_close(z, z.to(torch.complex128))
    assert_close(z.conj(), z.conj().resolve_conj().to(torch.complex128))
    says(refusal(assert_close, z, z.conj().to(torch.complex128)), "索引 0", "1-2j", "1+2j")
    says(refusal(assert_close, z.real, z), "複數", "float32")
    says(refusal(assert_close, z, z.real), "實數", "complex64")


def test_empty():
    assert_close(torch.empty(0, 3), torch.empty(0, 3, dtype=torch.float64))
    says(refusal(assert_close, torch.empty(3, 0), torch.empty(0, 3)), "形狀應為 (0, 3)，得到 (3, 0)")


def test_shape_is_not_broadcast():
    says(refusal(assert_close, torch.ones(3, 1), torch.ones(3)), "形狀應為 (3,)，得到 (3, 1)")
    says(refusal(assert_close, torch.ones(1), torch.ones(())), "形狀應為 ()，得到 (1,)")


def test_graph_and_strides_do_not_matter():
    x = torch.randn(4, 6, requires_grad=True)
    assert_close(x * 1, x.double())
    assert_close(x.t()[::2], x.detach().double().t()[::2].contiguous())
    assert_close(torch.ones(1).expand(3, 4), torch.ones(3, 4))
    assert_close(nn.Parameter(torch.ones(2)), torch.ones(2))
    assert_close(nn.Buffer(torch.ones(2)), torch.ones(2))
    assert x.grad is None and x.requires_grad


def test_tv_tensors_are_accepted():
    image = tv_tensors.Image(torch.zeros(3, 2, 4))
    assert_close(image, torch.zeros(3, 2, 4))
    assert_tensor(tv_tensors.BoundingBoxes([[0, 0, 1, 1]], format="XYXY", canvas_size=(2, 2)))
    refusal(assert_close, image + 1, torch.zeros(3, 2, 4))


class Flattering(torch.Tensor):
    """A tensor that is equal to anything."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return True


def test_subclasses_are_refused():
    fake = torch.ones(2).as_subclass(Flattering)
    for function, arguments in [
        (assert_close, (torch.ones(2),)),
        (assert_equal, (torch.ones(2),)),
        (assert_shape, ((2,),)),
        (assert_dtype, ("float32",)),
        (assert_finite, ()),
        (assert_tensor, ()),
    ]:
        says(refusal(function, fake, *arguments), "應為 torch.Tensor", "Flattering")


def test_a_class_that_calls_itself_a_tensor_is_refused():
    class Meta(type(torch.Tensor)):
        def __eq__(cls, other):
            return True

        __hash__ = type.__hash__

    class Disguised(torch.Tensor, metaclass=Meta):
        __module__ = "torchvision.tv_tensors"

    Disguised.__qualname__ = "Image"
    says(refusal(assert_tensor, torch.ones(2).as_subclass(Disguised)), "應為 torch.Tensor")


def test_fake_meta_and_nested_tensors_are_refused():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        fake = torch.ones(2)
    says(refusal(assert_close, fake, torch.ones(2)), "FakeTensor")
    meta = torch.ones(2, device="meta")
    says(refusal(assert_close, meta, torch.ones(2)), "應在 cpu，得到 meta")
    says(refusal(assert_equal, meta, torch.ones(2)), "meta")
    says(refusal(assert_finite, meta), "meta")
    says(refusal(assert_close, meta, meta), "meta")
    nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    says(refusal(assert_close, nested, torch.ones(2)), "nested")
    says(refusal(assert_shape, nested, (2,)), "nested")


def test_sparse():
    dense = torch.tensor([[0.0, 2.0], [3.0, 0.0]])
    says(refusal(assert_close, dense.to_sparse(), dense), "layout", "strided", "sparse_coo")
    assert_close(dense.to_sparse(), dense.double().to_sparse())
    assert_equal(dense.to_sparse_csr(), dense.to_sparse_csr())
    says(refusal(assert_close, 2 * dense.to_sparse(), dense.to_sparse()), "索引 (1, 0)", "應為 3，得到 6")
    assert_finite(dense.to_sparse())
    says(refusal(assert_finite, (dense / 0).to_sparse()), "含有 nan", "索引 (0, 0)", "共 4 個")


@pytest.mark.parametrize("value", [[1.0, 2.0], (1.0,), 1.0, None, "1", np.ones(2)])
def test_something_else_where_a_tensor_is_due(value):
    says(refusal(assert_close, value, torch.ones(2)), "應為 torch.Tensor，得到", type(value).__name__)
    says(refusal(assert_equal, value, torch.ones(2)), "應為 torch.Tensor，得到", type(value).__name__)


# ── assert_close: other kinds of values ──


def test_numbers():
    assert_close(0.1 + 0.2, 0.3)
    assert_close(3, 3.0)
    assert_close(np.float32(0.1), 0.1)
    assert_close(math.nan, math.nan)
    assert_close(-math.inf, -math.inf)
    says(refusal(assert_close, 0.5, 0.25, what="準確率"), "準確率應為 0.25，得到 0.5")
    says(refusal(assert_close, math.nan, 0.25), "應為 0.25，得到 nan")
    for wrong in (True, "0.25", None, torch.tensor(0.25), [0.25]):
        says(refusal(assert_close, wrong, 0.25), "應為數字 0.25", repr(wrong))


def test_nested_structures():
    x = torch.ones(2)
    assert_close([x, (x, {"a": x, "b": 3.0})], [x.double(), (x.double(), {"a": x.double(), "b": 3.0})])
    assert_close((x, x), [x, x])
    assert_close(Pair(x, x), (x, x))
    assert_close(OrderedDict(a=x), {"a": x})
    message = refusal(assert_close, [x, {"a": (x, x + 1)}], [x, {"a": (x, x)}])
    says(message, "第 1 項['a']的第 1 項不符", "應為 1，得到 2")


def test_structures_that_differ():
    x = torch.ones(2)
    says(refusal(assert_close, x, [x, x]), "應有 2 項，得到 Tensor")
    says(refusal(assert_close, [x], [x, x]), "應有 2 項，得到 1 項")
    says(refusal(assert_close, (x for _ in range(2)), [x, x]), "應有 2 項，得到 generator")
    says(refusal(assert_close, "xy", [x, x]), "應有 2 項，得到 str")
    says(refusal(assert_close, {"a": x}, {"a": x, "b": x}), "鍵應為 ['a', 'b']，得到 ['a']")
    says(refusal(assert_close, [x], {"a": x}), "鍵應為 ['a']，得到 list")


def test_other_values_are_compared_for_equality():
    assert_close({"name": "a", "flag": True, "none": None}, {"name": "a", "flag": True, "none": None})
    says(refusal(assert_close, {"name": "a"}, {"name": "b"}), "應為 'b'，得到 'a'")
    says(refusal(assert_close, {"flag": 1}, {"flag": True}), "應為 True，得到 1")
    says(refusal(assert_close, [None], [torch.ones(1)]), "得到 NoneType")


def test_arrays():
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert_close(x, x.astype(np.float64))
    assert_close(x[::-1, ::2], x[::-1, ::2].copy())
    says(refusal(assert_close, x + np.eye(2, 3, dtype=np.float32), x), "索引 (0, 0)", "應為 0，得到 1")
    says(refusal(assert_close, torch.tensor(x), x), "應為 numpy.ndarray，得到 Tensor")
    says(refusal(assert_close, x.tolist(), x), "應為 numpy.ndarray，得到 list")
    says(refusal(assert_close, x.T, x), "形狀應為 (2, 3)，得到 (3, 2)")
    assert_close(np.array(["a"]), np.array(["a"]))
    says(refusal(assert_close, np.array(["a"]), np.array(["b"])), "'b'", "'a'")


def test_evidence_is_the_answer():
    with pytest.raises(CheckFailed) as caught:
        assert_close([torch.tensor([1.5, math.nan])], [torch.tensor([1.0, 2.0])])
    assert caught.value.evidence == [{"shape": [2], "dtype": "torch.float32", "values": [1.5, "nan"]}]


# ── assert_equal ──


@pytest.mark.parametrize(
    "value",
    [3, 0.5, True, None, "a", b"a", [1, 2], (1, "a"), {"a": [1, (2.0, None)]}, {1, 2}, torch.float32, np.int64(3)],
    ids=repr,
)
def test_equal_to_a_copy(value):
    assert_equal(value, eval(repr(value)) if "torch" not in repr(value) and "np" not in repr(value) else value)


def test_equal_subclasses_of_containers():
    assert_equal(torch.ones(2, 3).shape, (2, 3))
    assert_equal((2, 3), torch.ones(2, 3).shape)
    assert_equal(Pair(1, 2), (1, 2))
    assert_equal(Counter("aab"), {"a": 2, "b": 1})
    assert_equal({"b": 1, "a": 2}, {"a": 2, "b": 1})
    assert_equal([math.nan, torch.tensor([math.nan])], [math.nan, torch.tensor([math.nan])])


@pytest.mark.parametrize(
    "actual, expected, parts",
    [
        (1, True, ["應為 True，得到 1"]),
        (1.0, 1, ["應為 1，得到 1.0"]),
        (np.int64(1), 1, ["應為 1，得到 np.int64(1)"]),
        ("1", 1, ["應為 1，得到 '1'"]),
        ([1, 0], [True, False], ["應為 [True, False]，得到 [1, 0]"]),
        ([1, 2], (1, 2), ["應為 (1, 2)，得到 [1, 2]"]),
        ((1, 2), [1, 2], ["應為 [1, 2]，得到 (1, 2)"]),
        ([1, 2], [1, 2, 3], ["應為 [1, 2, 3]，得到 [1, 2]"]),
        (list(range(99)), [*range(98), 7], ["第 98 項應為 7，得到 98"]),
        (list(range(99)), list(range(100)), ["應有 100 項，得到 99 項"]),
        ({"a": 1}, {"a": 2}, ["應為 {'a': 2}，得到 {'a': 1}"]),
        ({"a": 1}, {"b": 1}, ["應為 {'b': 1}，得到 {'a': 1}"]),
        ({1: "a"}, {True: "a"}, ["{True: 'a'}"]),
        ([("a", 1)], {"a": 1}, ["應為 {'a': 1}，得到 [('a', 1)]"]),
        (None, {"a": 1}, ["得到 None"]),
        ("x" * 500, "y", ["應為 'y'", "..."]),
    ],
)
def test_unequal_values(actual, expected, parts):
    says(refusal(assert_equal, actual, expected, what="回傳值"), "回傳值", *parts)


def test_unequal_values_that_look_alike():
    class Text(str):
        __slots__ = ()

    says(refusal(assert_equal, Text("a"), "a"), "'a'", "Text")


def test_equal_tensors():
    x = torch.tensor([1.0, math.nan, math.inf])
    assert_equal(x, x.clone())
    assert_equal(x.requires_grad_(), x.detach())
    says(refusal(assert_equal, x.double(), x), "dtype 應為 float32，得到 float64")
    says(refusal(assert_equal, x[:2], x), "形狀應為 (3,)，得到 (2,)")
    near = torch.tensor([1 + 2**-23, math.nan, math.inf])
    says(refusal(assert_equal, near, x), "索引 0", "1.00000012")
    assert_equal({"a": [x]}, {"a": [x.clone()]})
    says(refusal(assert_equal, {"a": [x, near]}, {"a": [x, x]}), "['a']的第 1 項不符")
    says(refusal(assert_equal, [x, x], torch.stack([x, x])), "應為 torch.Tensor，得到 list")
    says(refusal(assert_equal, torch.stack([x, x]), [x, x]), "應為 list", "tensor(")


def test_equal_arrays():
    x = np.array([1.0, math.nan])
    assert_equal(x, x.copy())
    says(refusal(assert_equal, x.astype(np.float32), x), "dtype 應為 float64，得到 float32")
    says(refusal(assert_equal, x.tolist(), x), "numpy.ndarray，得到 list")
    says(refusal(assert_equal, torch.tensor(x), x), "numpy.ndarray，得到 Tensor")
    says(refusal(assert_equal, 2 * x, x), "應為 1，得到 2")
    says(refusal(assert_equal, x, torch.tensor(x)), "torch.Tensor，得到 numpy.ndarray")


# ── the rest ──


def test_shape():
    assert_shape(torch.ones(2, 0), (2, 0))
    assert_shape(torch.ones(()), ())
    assert_shape(torch.ones(2, 3), torch.Size([2, 3]))
    says(refusal(assert_shape, torch.ones(2, 3), (3, 2), "隱藏狀態"), "隱藏狀態的形狀應為 (3, 2)，得到 (2, 3)")
    says(refusal(assert_shape, [[1, 2]], (1, 2)), "應為 torch.Tensor，得到 list")


def test_dtype():
    assert_dtype(torch.ones(2), "float32")
    assert_dtype(torch.ones(2).long(), torch.int64)
    says(refusal(assert_dtype, torch.ones(2), "bfloat16"), "dtype 應為 bfloat16，得到 float32")
    says(refusal(assert_dtype, 1.0, "float32"), "得到 float")


def test_finite():
    assert_finite(torch.ones(2), torch.tensor([1]), torch.tensor(True), torch.empty(0))
    assert_finite(torch.ones(2, dtype=torch.complex64), torch.ones(2).bfloat16(), torch.ones(1, requires_grad=True))
    bad = torch.ones(2, 3)
    bad[1, 2] = bad[1, 1] = math.inf
    says(refusal(assert_finite, torch.ones(1), bad, what="梯度"), "梯度含有 inf", "索引 (1, 1)", "共 2 個")
    says(refusal(assert_finite, torch.tensor(math.nan)), "含有 nan")
    says(refusal(assert_finite, None, what="weight 的梯度"), "weight 的梯度沒有梯度（None）")
    says(refusal(assert_finite, 1.0), "應為 torch.Tensor")


def test_type():
    assert_type(nn.Linear(1, 1), nn.Module)
    assert_type(1.5, (int, float))
    says(refusal(assert_type, [1], (dict, tuple), "回傳值"), "回傳值應為 dict、tuple，得到 list")


def test_check():
    check(torch.tensor(True), "對")
    check(1 < 2, "對")
    assert refusal(check, [], "串列是空的", torch.ones(1)) == "串列是空的"


def test_cast():
    x, n = torch.ones(2, requires_grad=True), torch.arange(2)
    done = cast({"a": [x, (n, 1.5, "text", None)], "b": Pair(x, n)}, "float64")
    y = done["a"][0]
    assert y.dtype == torch.float64 and y.requires_grad and y.is_leaf
    assert done["a"][1][0] is n and done["a"][1][1:] == (1.5, "text", None)
    assert type(done["b"]) is Pair and done["b"].x.dtype == torch.float64
    same = cast(x, torch.float32)
    with torch.no_grad():
        same.zero_()
    assert x.tolist() == [1.0, 1.0]
