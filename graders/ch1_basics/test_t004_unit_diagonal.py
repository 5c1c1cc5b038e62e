"""004 · 對角線為 1：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    check,
    raises,
    torch,
)


def with_unit_diagonal(x, offset=0):
    """定義：i + offset 等於 j 的位置是 1，其餘是 0；在 x 的形狀、dtype 與裝置上。"""
    m, n = x.shape[-2:]
    i, j = torch.arange(m, device=x.device)[:, None], torch.arange(n, device=x.device)
    return (i + offset == j).to(x.dtype).expand(x.shape).clone()


# ── unit_diagonal ──


@pytest.mark.numeric
def test_create(submission):
    """unit_diagonal：預設是 4x4 的 float32"""
    assert_equal(submission.unit_diagonal(), with_unit_diagonal(torch.empty(4, 4)))


@pytest.mark.shape
def test_create_sizes(submission):
    """unit_diagonal：其他大小，包含 1 與 0"""
    for n in (7, 1, 0):
        assert_equal(submission.unit_diagonal(n), with_unit_diagonal(torch.empty(n, n)), f"unit_diagonal({n}) ")


@pytest.mark.shape
def test_create_dtype(submission, device):
    """unit_diagonal：dtype 照參數"""
    for dtype in ("float64", "int64", "bool", "complex64"):
        kind = getattr(torch, dtype)
        expected = with_unit_diagonal(torch.empty(3, 3, dtype=kind, device=device))
        assert_equal(submission.unit_diagonal(3, dtype=kind, device=device), expected, f"dtype={dtype} 的結果")


@pytest.mark.behaviour
def test_create_fresh(submission):
    """unit_diagonal：每次都是新的張量"""
    first = submission.unit_diagonal(3)
    first.fill_(7)
    assert_equal(submission.unit_diagonal(3), with_unit_diagonal(torch.empty(3, 3)), "改寫第一次的結果後，第二次的結果")


@pytest.mark.behaviour
def test_create_device(submission, device):
    """unit_diagonal：device 照參數，不存在的裝置讓 torch 拋出例外"""
    found = submission.unit_diagonal(3, device=device).device.type
    check(found == device.type, f"應在 {device.type} 上，得到 {found}", f"on {found}")
    # 只有 CPU 的機器上，不存在的裝置看得出 device 有沒有用上（meta 也行，但它第一次要匯入整個編譯器）。
    with raises((RuntimeError, ValueError, TypeError)):
        submission.unit_diagonal(3, device="nowhere")


# ── set_unit_diagonal_ ──


@pytest.mark.behaviour
def test_in_place(submission, rng):
    """set_unit_diagonal_：回傳 x 本身，記憶體不變"""
    x = rng.normal((4, 4))
    expected, address = with_unit_diagonal(x), x.data_ptr()
    out = submission.set_unit_diagonal_(x)
    assert_equal(x, expected, "呼叫之後，x ")
    check(x.data_ptr() == address, "x 換了一塊記憶體；應寫進原來的", "moved")
    check(
        out is x,
        f"應回傳 x 本身，得到{'另一個張量' if isinstance(out, torch.Tensor) else f' {out!r}'}",
        f"{out is None}",
    )


@pytest.mark.numeric
@pytest.mark.parametrize("shape", [(3, 6), (7, 3), (2, 3, 5), (2, 3, 5, 4)], ids=str)
def test_shapes(submission, rng, shape):
    """set_unit_diagonal_：寬的、高的（不繞回）、一批矩陣"""
    for dtype in ("float32", "float64", "int64"):
        x = (3 + rng.uniform(shape)).to(getattr(torch, dtype))
        expected = with_unit_diagonal(x)
        submission.set_unit_diagonal_(x)
        assert_equal(x, expected, f"呼叫之後，{dtype} 的 x ")


@pytest.mark.numeric
@pytest.mark.parametrize("offsets", [(2, -1), (9, -9)], ids=["inside", "outside"])
def test_offset(submission, rng, offsets):
    """set_unit_diagonal_：offset 與 torch.diagonal 相同，超出範圍時全為 0"""
    cases = {(shape, offset): rng.normal(shape) for shape in [(3, 5), (2, 5, 4)] for offset in offsets}
    expected = {case: with_unit_diagonal(x, case[1]) for case, x in cases.items()}
    for (_, offset), x in cases.items():
        submission.set_unit_diagonal_(x, offset)
    assert_close(cases, expected, rtol=0, atol=0, what="呼叫之後，(形狀, offset) ")


@pytest.mark.behaviour
@pytest.mark.parametrize("view", ["transposed", "sliced", "batch_last"])
def test_views(submission, rng, view):
    """set_unit_diagonal_：view 寫進原來的張量，以外的元素不變"""
    select = {
        "transposed": lambda t: t[0].T,
        "sliced": lambda t: t[:, 1:5:2, 2:],
        "batch_last": lambda t: t.permute(2, 0, 1),
    }[view]
    base = 3 + rng.uniform((3, 6, 5))
    expected = base.clone()
    select(expected).copy_(with_unit_diagonal(select(base), 1))
    x = select(base)
    out = submission.set_unit_diagonal_(x, 1)
    assert_equal(base, expected, "view 底下的張量")
    check(out is x, "應回傳 x 本身", "not x")


@pytest.mark.numeric
def test_nan_and_inf(submission, tensor):
    """set_unit_diagonal_：原有的 NaN 與 inf 也清掉"""
    nan, inf = float("nan"), float("inf")
    x = tensor([[nan, inf, 1.5], [-inf, 2.5, nan]])
    expected = with_unit_diagonal(x)
    submission.set_unit_diagonal_(x)
    assert_equal(x, expected, "呼叫之後，x ")


@pytest.mark.behaviour
def test_too_few_dimensions(submission, rng):
    """set_unit_diagonal_：少於兩維拋出 ValueError"""
    with raises(ValueError, "1"):  # 1 維，或形狀 (11,)
        submission.set_unit_diagonal_(rng.normal((11,)))
    with raises(ValueError):
        submission.set_unit_diagonal_(rng.normal(()))
