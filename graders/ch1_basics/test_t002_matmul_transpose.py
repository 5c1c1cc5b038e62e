"""002 · 與轉置矩陣相乘：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_gradients,
    assert_shape,
    assert_within_budget,
    raises,
    torch,
    unchanged,
)

# (3, 3, 3) 讓「轉置錯了維度」得到數字，而不是例外。
SHAPES = pytest.mark.parametrize("shape", [(3, 3), (2, 5), (6, 3, 4), (3, 3, 3), (2, 3, 4, 5)], ids=str)


def gram(x):
    """定義：廣播、相乘、加總，以 float64 計算。"""
    x = x.detach().double()
    return (x.unsqueeze(-2) * x.unsqueeze(-3)).sum(-1)


@pytest.mark.shape
@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (2, 3, 4, 5), (0, 3, 2), (4, 0)], ids=str)
def test_shape(submission, rng, shape):
    """輸出是 (..., m, m)，dtype 與輸入相同"""
    for dtype in ("float32", "float64"):
        x = rng.normal(shape, dtype=dtype)
        expected = gram(x)
        out = submission.matmul_with_transpose(x)
        assert_shape(out, expected.shape)
        assert_dtype(out, dtype)
        assert_close(out, expected)


@pytest.mark.numeric
@SHAPES
def test_definition(submission, rng, shape):
    """等於 x 乘以自己的轉置"""
    x = rng.normal(shape)
    expected = gram(x)
    with unchanged(x):
        assert_close(submission.matmul_with_transpose(x), expected)


@pytest.mark.numeric
def test_strided(submission, rng):
    """非連續的輸入"""
    for shape in [(3, 4, 6), (2, 3, 4, 5)]:  # 要合併兩個 batch 維度時，view 才會出錯
        x = rng.strided(shape)
        expected = gram(x)
        with unchanged(x):
            assert_close(submission.matmul_with_transpose(x), expected)


@pytest.mark.gradient
@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4)], ids=str)
def test_gradient(submission, rng, shape):
    """對 x 的梯度：x 出現兩次，兩次都要算"""
    assert_gradients(submission.matmul_with_transpose, rng.normal(shape))


@pytest.mark.behaviour
def test_too_few_dimensions(submission, rng):
    """少於兩維拋出 ValueError"""
    with raises(ValueError, "1"):  # 1 維，或形狀 (11,)
        submission.matmul_with_transpose(rng.normal((11,)))
    with raises(ValueError):
        submission.matmul_with_transpose(rng.normal(()))


@pytest.mark.speed
def test_speed(submission, reference, rng):
    """一批矩陣的速度"""
    # 單執行緒、十二輪的最小值，參考解為 1。對的：transpose 0.9、bmm 0.9、einsum 1.1、vmap 1.6、先 contiguous 2.8、
    # 廣播後加總 2.7、逐行加總 3.6；錯的：逐一相乘再 stack 45 以上、逐一寫入 82 以上。上限約是 3.6 與 45 的幾何平均。
    assert_within_budget(
        submission.matmul_with_transpose,
        reference.matmul_with_transpose,
        lambda: (rng.normal((4096, 4, 8)),),
        factor=12,
        baseline=lambda x: torch.einsum("...ik,...jk->...ij", x, x),
    )
