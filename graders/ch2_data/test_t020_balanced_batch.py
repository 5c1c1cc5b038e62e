"""020 · 平衡 batch 的標籤：評分"""

import pickle
from collections import Counter
from itertools import product
from math import factorial

import pytest

from torch_kata.checks import (
    assert_dtype,
    assert_equal,
    assert_frequencies,
    assert_shape,
    check,
    fail,
    same_random_state,
    torch,
    unchanged,
)

LABELS = [7, -2, 7, 40, 7, 7, -2, 7]  # 最多的有 5 個，另外兩類各 2 與 1 個


@pytest.fixture
def make_batch(rng):
    """make_batch(labels, shape, dtype)：各不相同的樣本，配上標籤。"""

    def make(labels=LABELS, shape=(3,), dtype="float32"):
        samples = [1000 * n + rng.integers(0, 1000, shape) for n in rng.permutation(len(labels)).tolist()]
        return [(sample.to(getattr(torch, dtype)), label) for sample, label in zip(samples, labels, strict=True)]

    return make


def numbers_of(data, batch):
    """data 的每一列是 batch 的第幾個樣本。"""
    table = {tuple(sample.flatten().tolist()): number for number, (sample, _) in enumerate(batch)}
    rows = list(map(tuple, data.reshape(len(data), -1).tolist()))
    for place, row in enumerate(rows):
        if row not in table:
            fail(f"data 的第 {place} 列不是 batch 裡的任何一個樣本", data)
    return [table[row] for row in rows]


@pytest.mark.shape
@pytest.mark.parametrize("kind", ["int", "tensor"])
@pytest.mark.parametrize("shape, dtype", [((3,), "float32"), ((2, 4), "int32"), ((), "float64")])
def test_shape(submission, make_batch, rng, shape, dtype, kind):
    """data 與 labels 的形狀與 dtype"""
    batch = make_batch(LABELS, shape, dtype)
    if kind == "tensor":
        batch = [(sample, torch.tensor(label, dtype=torch.int32)) for sample, label in batch]
    data, labels = submission.BalancedCollate(generator=rng.generator())(batch)
    assert_shape(data, (15, *shape), "data ")
    assert_dtype(data, dtype, "data ")
    assert_shape(labels, (15,), "labels ")
    assert_dtype(labels, "int64", "labels ")


@pytest.mark.numeric
def test_counts(submission, make_batch, rng):
    """每個類別與最多的一樣多"""
    for _ in range(3):
        _, labels = submission.BalancedCollate(generator=rng.generator())(make_batch())
        found = Counter(labels.tolist())
        if found != {7: 5, -2: 5, 40: 5}:
            fail(f"各類別的樣本數應為 -2: 5、7: 5、40: 5，得到 {dict(sorted(found.items()))}", labels)


@pytest.mark.numeric
def test_originals_kept(submission, make_batch, rng):
    """每個原來的樣本都還在"""
    batch = make_batch()
    for _ in range(8):  # 全部重抽而碰巧都抽到的機會，一次是 0.04
        data, _ = submission.BalancedCollate(generator=rng.generator())(list(batch))
        lost = sorted(set(range(len(batch))) - set(numbers_of(data, batch)))
        check(not lost, f"batch 的第 {lost} 個樣本不見了：原來的樣本要全部留著", data)


@pytest.mark.numeric
def test_pairs(submission, make_batch, rng):
    """每個樣本都配著自己的標籤"""
    batch = make_batch()
    for _ in range(8):
        data, labels = submission.BalancedCollate(generator=rng.generator())(list(batch))
        for number, label in zip(numbers_of(data, batch), labels.tolist(), strict=True):
            if label != LABELS[number]:
                fail(f"batch 的第 {number} 個樣本標籤是 {LABELS[number]}，結果裡卻配著 {label}", [data, labels])


@pytest.mark.behaviour
@pytest.mark.parametrize("source", ["generator", "none"])
def test_extras(submission, make_batch, rng, source):
    """補上的樣本獨立、均勻、取後放回"""
    batch = make_batch([5] * 4 + [9] * 3 + [5] * 3, shape=())
    collate = submission.BalancedCollate(generator=rng.generator() if source == "generator" else None)
    found = Counter()
    for _ in range(600):
        drawn = Counter(numbers_of(collate(list(batch))[0], batch))
        found[tuple(drawn[number] - 1 for number in (4, 5, 6))] += 1
    # 四次獨立均勻的抽取：三個樣本各補幾次服從多項分布。
    cells = [c for c in product(range(5), repeat=3) if sum(c) == 4]
    odds = [24 / factorial(a) / factorial(b) / factorial(c) / 81 for a, b, c in cells]
    if strange := sorted(set(found) - set(cells)):
        fail(f"少的類別應補 4 個，三個樣本卻各補了 {strange[0]} 個", sorted(map(list, found.items())))
    assert_frequencies([found[cell] for cell in cells], odds, what="三個樣本各補幾次（15 種）")


@pytest.mark.behaviour
def test_classes_independent(submission, make_batch, rng):
    """不同類別的抽取互相獨立"""
    batch = make_batch([1, 1, 1, 2, 2, 3, 3], shape=())
    collate = submission.BalancedCollate(generator=rng.generator())
    found = Counter()
    for _ in range(300):
        extras = Counter(numbers_of(collate(list(batch))[0], batch)) - Counter(range(7))
        found[tuple(sorted(extras))] += 1
    pairs = [(3, 5), (3, 6), (4, 5), (4, 6)]
    if strange := sorted(set(found) - set(pairs)):
        fail(f"兩個少的類別應各補一個，補的卻是第 {strange[0]} 個樣本", [found[pair] for pair in pairs])
    assert_frequencies([found[pair] for pair in pairs], what="兩類各補了哪一個（4 種）")


@pytest.mark.behaviour
def test_generator(submission, make_batch, rng):
    """generator 的種子相同，逐次得到同樣的結果；種子不同則不同"""
    # 33 個樣本補 33 個。順序不拘，排好序的答案只看得出各抽中幾次：碰巧相同的機會也小於 1e-15。
    batch, seed = make_batch([1] * 66 + [2] * 33, shape=()), rng.seed()
    results = []
    for start, own in ((1, seed), (2, seed), (1, seed + 1)):
        torch.manual_seed(start)
        collate = submission.BalancedCollate(generator=rng.generator(own))
        results.append(torch.stack([collate(list(batch))[0] for _ in range(3)]))
    first, again, other = results
    for call in range(3):
        check(torch.equal(first[call], again[call]), f"種子相同，第 {call + 1} 次的結果卻不同", [first, again])
    check(not torch.equal(first[0], other[0]), "種子不同，結果卻相同", [first, other])


@pytest.mark.behaviour
def test_global_random_state(submission, make_batch, rng):
    """給了 generator 就不碰全域亂數"""
    batch = make_batch()
    with same_random_state():
        submission.BalancedCollate(generator=rng.generator())(batch)


@pytest.mark.behaviour
def test_no_generator(submission, make_batch):
    """沒有 generator：每個物件都重新隨機抽"""
    batch = make_batch([1] * 66 + [2] * 33, shape=())
    first, again = (submission.BalancedCollate()(list(batch))[0] for _ in range(2))
    check(not torch.equal(first, again), "沒有給 generator，兩個物件卻抽出同樣的結果：種子固定了", [first, again])


@pytest.mark.behaviour
@pytest.mark.parametrize("labels", [[3, 8, 8, 3, -1, -1], [4, 4, 4, 4, 4], [6]], ids=["balanced", "one class", "one"])
def test_passed_through(submission, make_batch, rng, labels):
    """不必補的 batch 原樣交出"""
    batch = make_batch(labels)
    expected = torch.stack([sample for sample, _ in batch])
    data, given = submission.BalancedCollate(generator=rng.generator())(batch)
    assert_equal(data, expected, what="data")
    assert_equal(given.cpu(), torch.tensor(labels), what="labels")


@pytest.mark.behaviour
@pytest.mark.parametrize("source", ["generator", "none"])
def test_pickle(submission, make_batch, rng, source):
    """可以 pickle，副本照常使用"""
    collate = submission.BalancedCollate(generator=rng.generator() if source == "generator" else None)
    try:
        copied = pickle.loads(pickle.dumps(collate))
    except Exception as error:
        fail(f"不能 pickle：{type(error).__name__}: {error}", type(error).__name__)
    _, labels = copied(make_batch())
    assert_equal(sorted(labels.tolist()), [-2] * 5 + [7] * 5 + [40] * 5, what="副本給的 labels")


@pytest.mark.behaviour
def test_batch_untouched(submission, make_batch, rng):
    """不改動輸入"""
    batch = make_batch()
    with unchanged(batch):
        submission.BalancedCollate(generator=rng.generator())(batch)
