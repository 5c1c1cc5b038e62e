"""016 · 補齊長短不一的序列：評分"""

import pytest

from torch_kata.checks import (
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_within_budget,
    raises,
    torch,
    unchanged,
)

LENGTHS = [2, 5, 3, 5, 1, 3, 3]
ORDER = [1, 3, 2, 5, 6, 0, 4]  # 由長到短，同長的照輸入的順序

ITEMS = pytest.mark.parametrize("rest", [(), (4,), (2, 6)], ids=["T", "TD", "THW"])


@pytest.fixture
def sequences(rng):
    """sequences(rest, lengths, dtype)：各條 (T_i, *rest)，值是 1 到 99 的整數，不會與補的值相同。"""

    def make(rest=(), lengths=LENGTHS, dtype="int64"):
        return [rng.integers(1, 100, (length, *rest), dtype=dtype) for length in lengths]

    return make


def expected_of(items, order, value):
    """逐條填入的定義。"""
    longest = max(len(item) for item in items)
    padded = torch.full((len(items), longest, *items[0].shape[1:]), value, dtype=items[0].dtype, device=items[0].device)
    for row, index in enumerate(order):
        padded[row, : len(items[index])] = items[index]
    return padded


@pytest.mark.shape
@ITEMS
def test_shape(submission, sequences, rest):
    """padded 是 (B, T, *)，lengths 是 (B,)"""
    padded, lengths = submission.collate_pad(sequences(rest))
    assert_shape(padded, (7, 5, *rest), "padded")
    assert_shape(lengths, (7,), "lengths ")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["int32", "bool", "bfloat16"])
def test_dtype(submission, sequences, dtype):
    """Tensor 的 dtype 保持不變"""
    padded, _ = submission.collate_pad(sequences((3,), dtype=dtype))
    assert_dtype(padded, dtype, "padded")


@pytest.mark.shape
@pytest.mark.parametrize("default", ["float32", "float64"])
def test_lists(submission, default):
    """整數的 list 成為 int64，浮點數的 list 成為預設的浮點 dtype"""
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, default))
    try:
        integers, _ = submission.collate_pad([[3], [7, 2**53 + 1]])
        numbers, _ = submission.collate_pad([[0.5], [1.5, 2.5]])
    finally:
        torch.set_default_dtype(before)
    assert_equal(integers, torch.tensor([[7, 2**53 + 1], [3, 0]]), what="整數 list 的結果")
    wanted = torch.tensor([[1.5, 2.5], [0.5, 0.0]], dtype=getattr(torch, default))
    assert_equal(numbers, wanted, what=f"預設 dtype 是 {default} 時，浮點數 list 的結果")


@pytest.mark.numeric
@ITEMS
def test_padded(submission, sequences, rest):
    """由長到短，尾端補 0"""
    batch = sequences(rest)
    expected = expected_of(batch, ORDER, 0)
    padded, _ = submission.collate_pad(batch)
    assert_equal(padded, expected, what="padded")


@pytest.mark.numeric
@pytest.mark.parametrize("dtype, value", [("int64", -100), ("float32", float("-inf"))])
def test_padding_value(submission, sequences, dtype, value):
    """指定的 padding_value"""
    batch = sequences((2,), dtype=dtype)
    expected = expected_of(batch, ORDER, value)
    padded, _ = submission.collate_pad(batch, padding_value=value)
    assert_equal(padded, expected, what=f"padding_value={value} 的 padded")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["tensors", "lists"])
def test_lengths(submission, sequences, kind):
    """lengths 是補之前的長度，int64，由長到短"""
    batch = sequences()
    _, lengths = submission.collate_pad([item.tolist() for item in batch] if kind == "lists" else batch)
    assert_dtype(lengths, "int64", "lengths ")
    assert_equal(lengths.cpu(), torch.tensor(sorted(LENGTHS, reverse=True)), what="lengths")


@pytest.mark.behaviour
def test_ties(submission, sequences):
    """長度相同的照輸入的順序"""
    batch = sequences(lengths=[4] * 6)
    expected = torch.stack(batch)
    padded, _ = submission.collate_pad(batch)
    assert_equal(padded, expected, what="六條同長的序列補齊後")


@pytest.mark.behaviour
@pytest.mark.parametrize("others", ["int64 lists", "float32 lists", "int32 tensors"])
def test_empty_list(submission, sequences, others):
    """空的 list 跟著其他項目的 dtype"""
    dtype, kind = others.split()
    batch = sequences(lengths=[2, 3], dtype=dtype)
    expected = expected_of([*batch, batch[0][:0], batch[0][:0]], [1, 0, 2, 3], 9)
    expected = expected.cpu() if kind == "lists" else expected
    first, second = (item.tolist() for item in batch) if kind == "lists" else batch
    padded, lengths = submission.collate_pad([[], first, [], second], padding_value=9)
    assert_equal(padded, expected, what="含空 list 的 padded")
    assert_equal(lengths.cpu(), torch.tensor([3, 2, 0, 0]), what="lengths")


@pytest.mark.behaviour
@pytest.mark.parametrize("sizes, order", [([0, 3, 0, 2], [1, 3, 0, 2]), ([0, 0], [0, 1]), ([0], [0])], ids=str)
def test_length_zero(submission, sequences, sizes, order):
    """長度為 0 的項目照樣留著"""
    batch = sequences((4,), lengths=sizes)
    expected = expected_of(batch, order, 7)
    padded, lengths = submission.collate_pad(batch, padding_value=7)
    assert_equal(padded, expected, what=f"長度 {sizes} 的 padded")
    assert_equal(lengths.cpu(), torch.tensor(sorted(sizes, reverse=True)), what="lengths")


@pytest.mark.behaviour
def test_batch_untouched(submission, sequences):
    """不改動 batch 的順序與內容"""
    for batch in (sequences((2,)), [item.tolist() for item in sequences()]):
        with unchanged(batch):
            submission.collate_pad(batch, padding_value=-1)


@pytest.mark.behaviour
def test_empty_batch(submission):
    """空的 batch：ValueError"""
    with raises(ValueError):
        submission.collate_pad([])


@pytest.mark.speed
def test_speed(submission, reference, rng):
    """512 條序列的速度"""
    # 參考解 1（2.9 ms）；先串接再用布林遮罩填 0.6；逐條填入 1.2；F.pad 加 stack 1.5；cat 加 stack 1.7；轉成 Python 的
    # list 補齊再 torch.tensor 3.5。壞的：逐元素填 160、逐元素 item 155；計數就先擋下。

    def inputs():
        lengths = rng.integers(1, 201, (512,)).tolist()
        return (list(rng.integers(1, 10_000, (sum(lengths),)).split(lengths)),)

    assert_within_budget(submission.collate_pad, reference.collate_pad, inputs, factor=6)
