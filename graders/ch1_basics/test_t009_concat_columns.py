"""009 · 沿 column 拼接：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradients,
    assert_shape,
    assert_type,
    check,
    raises,
    torch,
    unchanged,
)


def side_by_side(tensors):
    """一格一格填，值為 float64。"""
    wide = torch.zeros(len(tensors[0]), sum(t.shape[1] for t in tensors), dtype=torch.float64, device=tensors[0].device)
    start = 0
    for t in tensors:
        wide[:, start : start + t.shape[1]] = t.detach()
        start += t.shape[1]
    return wide


@pytest.mark.shape
def test_concat_shape(submission, rng):
    """row 數不變，column 數相加"""
    for rows, widths in [(4, (3, 3)), (3, (2, 5)), (2, (6,)), (0, (2, 3)), (5, (0, 4, 0)), (3, (0, 0))]:
        result = submission.concat_columns(*(rng.normal((rows, width)) for width in widths))
        assert_shape(result, (rows, sum(widths)), f"{rows} 個 row、寬度 {widths} 接起來")


@pytest.mark.numeric
@pytest.mark.parametrize("widths", [(2, 5), (4, 1, 0, 2)], ids=str)
def test_concat_values(submission, rng, widths):
    """依給的順序左右相接"""
    tensors = [rng.strided((3, width)) if width else rng.normal((3, 0)) for width in widths]
    expected = side_by_side(tensors).float()
    with unchanged(*tensors):
        result = submission.concat_columns(*tensors)
    assert_equal(result, expected)


@pytest.mark.numeric
@pytest.mark.parametrize(
    "given, wanted",
    [
        (("float32", "float64"), "float64"),
        (("int64", "float32"), "float32"),
        (("uint8", "bool", "int8"), "int16"),
        (("float16", "bfloat16"), "float32"),
    ],
    ids=lambda names: names if isinstance(names, str) else "+".join(names),
)
def test_dtype(submission, rng, given, wanted):
    """dtype 不同時依 torch.result_type 提升"""
    tensors = [rng.integers(0, 2, (3, 2 + i), dtype=name) for i, name in enumerate(given)]
    tensors = [t + 0.5 if t.is_floating_point() else t for t in tensors]
    expected = side_by_side(tensors)
    result = submission.concat_columns(*tensors)
    assert_dtype(result, wanted)
    assert_close(result, expected)


@pytest.mark.gradient
def test_concat_gradient(submission, rng):
    """梯度到達每一個輸入"""
    assert_gradients(submission.concat_columns, rng.normal((3, 2)), rng.normal((3, 4)), rng.normal((3, 1)))


@pytest.mark.behaviour
@pytest.mark.parametrize("rows", [(3, 17), (1, 17), (4, 4, 17)], ids=str)
def test_row_counts(submission, rng, rows):
    """row 數不同拋出 ValueError，不 broadcast"""
    with raises(ValueError, 17):
        submission.concat_columns(*(rng.normal((n, 2 + i)) for i, n in enumerate(rows)))


@pytest.mark.behaviour
@pytest.mark.parametrize("shapes", [[(3, 2), (0,)], [(3,), (3,)], [(3, 2, 4), (3, 5, 4)]], ids=str)
def test_not_two_dimensional(submission, rng, shapes):
    """不是 2 維拋出 ValueError"""
    with raises(ValueError):
        submission.concat_columns(*(rng.normal(shape) for shape in shapes))


@pytest.mark.behaviour
def test_nothing_given(submission):
    """沒有給任何 tensor 拋出 ValueError"""
    with raises(ValueError):
        submission.concat_columns()


@pytest.mark.numeric
@pytest.mark.parametrize("sizes", [[2, 5, 1], (4, 0, 1, 2)], ids=str)
def test_split(submission, rng, sizes):
    """split_columns 依 sizes 拆成 tuple"""
    parts = [rng.normal((3, size)) for size in sizes]
    x = side_by_side(parts).float()
    with unchanged(x):
        result = submission.split_columns(x, sizes)
    assert_type(result, tuple, what="split_columns 的結果")
    assert_close(result, parts, rtol=0, atol=0, what="拆開的結果")


@pytest.mark.behaviour
def test_split_shares_memory(submission, rng):
    """拆出的各塊與 x 共用記憶體"""
    for kind, x in (("連續", rng.normal((3, 7))), ("不連續", rng.strided((3, 7)))):
        parts = submission.split_columns(x, (2, 4, 1))
        # 改了 x，view 跟著變；複製出來的不會。
        x += 10
        expected = x[:, :2], x[:, 2:6], x[:, 6:]
        for index, (part, wanted) in enumerate(zip(parts, expected, strict=True)):
            shared = torch.equal(part, wanted)
            check(shared, f"改了{kind}的 x 之後第 {index} 塊沒有跟著變：它是複製，不是 view", list(parts))


@pytest.mark.gradient
def test_split_gradient(submission, rng):
    """split_columns 可微"""
    assert_gradients(lambda x: submission.split_columns(x, [2, 3, 1]), rng.normal((4, 6)))


@pytest.mark.behaviour
@pytest.mark.parametrize("sizes", [(2, 3), (4, 4, 1)], ids=str)
def test_sizes_do_not_add_up(submission, rng, sizes):
    """sizes 的總和不對拋出 ValueError"""
    with raises(ValueError):
        submission.split_columns(rng.normal((3, 7)), sizes)
