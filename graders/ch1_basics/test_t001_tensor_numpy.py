"""001 · torch.Tensor 與 NumPy：評分"""

import warnings

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    check,
    fail,
    np,
    torch,
    unchanged,
)

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
DTYPES = ["bool", *INTEGERS, "float16", "float32", "float64", "complex64", "complex128"]  # NumPy 也有的

VIEWS = {"連續": lambda x: x, "轉置": lambda x: x.T, "跳格": lambda x: x[1:, ::2]}


def array_of(rng, dtype, shape=(3, 5)):
    """值互不相同的小數字，任何 dtype 都能精確表示。"""
    values = rng.numpy.permutation(120)[: int(np.prod(shape))].reshape(shape)
    if dtype == "bool":
        return values % 2 == 1
    return (values + 1j * values[::-1] if "complex" in dtype else values).astype(dtype)


def assert_array(array, expected, what="陣列"):
    """一般的 np.ndarray，形狀、dtype、值都相同。"""
    check(type(array) is np.ndarray, f"{what}應為 np.ndarray，得到 {type(array).__name__}", f"type {type(array)}")
    found, wanted = str(array.dtype), str(expected.dtype)
    check(found == wanted, f"{what}的 dtype 應為 {wanted}，得到 {found}", f"{wanted} became {found}")
    assert_equal(array.shape, expected.shape, f"{what}的形狀")
    wide = "complex128" if array.dtype.kind == "c" else "float64"
    assert_close(torch.tensor(array.astype(wide)), torch.tensor(expected.astype(wide)), rtol=0, atol=0, what=what)


# ── make_tensor ──


@pytest.mark.shape
def test_make_scalar(submission, rng):
    """make_tensor：一個數字得到 0 維的 float32"""
    for number in (rng.integer(2, 9), rng.integer(2, 9) + 0.25):
        t = submission.make_tensor(number)
        assert_shape(t, (), f"make_tensor({number}) ")
        assert_dtype(t, "float32", f"make_tensor({number}) ")
        assert_close(t, torch.tensor(number, dtype=torch.float64), what=f"make_tensor({number}) ")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["integers", "floats", "booleans"])
def test_make_nested(submission, rng, kind):
    """make_tensor：巢狀串列得到同形的 float32"""
    array = 10 * rng.numpy.standard_normal((2, 3, 4))
    array = {"integers": array.astype("int64"), "floats": array, "booleans": array > 0}[kind]
    t = submission.make_tensor(array.tolist())
    assert_dtype(t, "float32")
    assert_close(t, torch.tensor(array.astype("float64")))


# ── to_numpy ──


@pytest.mark.shape
def test_to_numpy_shape(submission, rng):
    """to_numpy：得到 np.ndarray，保留形狀，包含 0 維與空張量"""
    for shape in [(), (7,), (0, 3), (2, 3, 4)]:
        t = rng.normal(shape)
        expected = np.array(t.tolist(), dtype="float32").reshape(shape)
        assert_array(submission.to_numpy(t), expected, f"形狀 {shape} 的張量轉成的陣列")


@pytest.mark.numeric
def test_to_numpy_dtypes(submission, rng, device):
    """to_numpy：保留 NumPy 也有的每種 dtype"""
    for dtype in DTYPES:
        expected = array_of(rng, dtype)
        t = torch.tensor(expected.tolist(), dtype=getattr(torch, dtype), device=device)
        with unchanged(t):
            assert_array(submission.to_numpy(t), expected, f"{dtype} 轉成的陣列")


@pytest.mark.numeric
def test_bfloat16(submission, rng):
    """to_numpy：bfloat16 成為 float32"""
    for requires_grad in (False, True):
        t = rng.normal((3, 5), dtype="bfloat16", requires_grad=requires_grad)
        expected = np.array(t.tolist(), dtype="float32")
        with unchanged(t):
            assert_array(submission.to_numpy(t), expected, "bfloat16 轉成的陣列")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["conj", "neg"])
def test_lazy_views(submission, rng, device, kind):
    """to_numpy：conj 與 neg 的 view 得到正確的值"""
    array = array_of(rng, "complex64")
    conj = torch.tensor(array.tolist(), dtype=torch.complex64, device=device).conj()
    t, expected = (conj, array.conj()) if kind == "conj" else (conj.imag, -array.imag)
    assert_array(submission.to_numpy(t), expected)


@pytest.mark.behaviour
def test_to_numpy_shares(submission, rng):
    """to_numpy：CPU 張量與陣列共用記憶體，兩個方向都是"""
    in_array, in_tensor, first, second = {}, {}, {}, {}
    for name, view in VIEWS.items():
        t = view(rng.normal((4, 7)).cpu())
        first[name], second[name] = rng.normal(t.shape).cpu(), rng.normal(t.shape).cpu()
        array = submission.to_numpy(t)
        t.copy_(first[name])
        in_array[name] = torch.tensor(np.array(array, order="C"))
        check(array.flags.writeable, "陣列是唯讀的：寫不回張量", "read-only")
        array[...] = np.array(second[name].tolist())
        in_tensor[name] = t
    assert_close(in_array, first, rtol=0, atol=0, what="寫入張量之後，陣列的值")
    assert_close(in_tensor, second, rtol=0, atol=0, what="寫入陣列之後，張量的值")


@pytest.mark.behaviour
def test_requires_grad(submission, rng):
    """to_numpy：requires_grad 的張量也能轉換，也共用記憶體"""
    t, changed = rng.normal((3, 5)).cpu().requires_grad_(), rng.normal((3, 5)).cpu()
    array = submission.to_numpy(t)
    with torch.no_grad():
        t.copy_(changed)
    assert_array(array, np.array(changed.tolist(), dtype="float32"), "寫入張量之後，陣列的值")


@pytest.mark.behaviour
def test_leaf_untouched(submission, rng):
    """to_numpy：參數的 requires_grad 與 grad 不變"""
    t = rng.normal((3, 5), requires_grad=True)
    t.grad = rng.normal((3, 5))
    with unchanged(t):
        submission.to_numpy(t)


@pytest.mark.behaviour
def test_graph_untouched(submission, rng):
    """to_numpy：計算圖不變，之後仍可反向傳播"""
    leaf, scale, cotangent = rng.normal((3, 5), requires_grad=True), rng.normal((3, 5)), rng.normal((3, 5))
    y = leaf * scale
    node, expected = y.grad_fn, scale.double() * cotangent.double()
    submission.to_numpy(y)
    check(y.requires_grad and y.grad_fn is node, "輸入的計算圖被切斷了（detach_？）：grad_fn 變了", "graph cut")
    (y * cotangent).sum().backward()
    assert_close(leaf.grad, expected, what="之後反向傳播的梯度")


# ── from_numpy ──


@pytest.mark.numeric
def test_from_numpy_dtypes(submission, rng):
    """from_numpy：保留形狀與每種 dtype"""
    for dtype in DTYPES:
        array = array_of(rng, dtype)
        expected = torch.tensor(array.tolist(), dtype=torch.complex128 if array.dtype.kind == "c" else torch.float64)
        with unchanged(array):
            t = submission.from_numpy(array)
        assert_dtype(t, dtype, f"{dtype} 轉成的張量")
        wide = t.to(expected.dtype)
        assert_close(wide, expected, rtol=0, atol=0, what=f"{dtype} 轉成的張量")


@pytest.mark.behaviour
def test_from_numpy_shares(submission, rng):
    """from_numpy：陣列與張量共用記憶體，兩個方向都是"""
    in_array, in_tensor, first, second = {}, {}, {}, {}
    for name, view in VIEWS.items():
        array = view(rng.numpy.standard_normal((4, 7)))
        first[name], second[name] = (rng.normal(array.shape, dtype="float64").cpu() for _ in range(2))
        t = submission.from_numpy(array)
        array[...] = np.array(first[name].tolist())
        in_tensor[name] = t.clone()
        t.copy_(second[name])
        in_array[name] = torch.tensor(np.array(array, order="C"))
    assert_close(in_tensor, first, rtol=0, atol=0, what="寫入陣列之後，張量的值")
    assert_close(in_array, second, rtol=0, atol=0, what="寫入張量之後，陣列的值")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["columns_reversed", "rows_reversed", "byte_order"])
def test_from_numpy_copies(submission, rng, kind):
    """from_numpy：torch 無法對應的陣列也能轉換"""
    array = rng.numpy.standard_normal((4, 7)).astype("float32")
    array = {
        "columns_reversed": array[:, ::-1],
        "rows_reversed": array[::-1],
        "byte_order": array.astype(array.dtype.newbyteorder()),
    }[kind]
    expected = torch.tensor(array.tolist())
    with unchanged(array):
        assert_equal(submission.from_numpy(array), expected)


@pytest.mark.behaviour
def test_read_only(submission, rng):
    """from_numpy：唯讀陣列沒有警告"""
    array = rng.numpy.standard_normal((4, 7))
    array.flags.writeable = False
    expected, always = torch.tensor(array.tolist(), dtype=torch.float64), torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # torch 的這個警告，每個行程本來只發一次
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            t = submission.from_numpy(array)
    finally:
        torch.set_warn_always(always)
    assert_equal(t, expected)
    check(not array.flags.writeable, "輸入的陣列不再是唯讀的", "flags changed")
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            fail(f"發出了警告：{str(warning.message)[:150]}", "warned")
