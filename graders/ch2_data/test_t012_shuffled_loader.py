"""012 · 打亂順序的 DataLoader：評分"""

from collections import Counter
from itertools import permutations

import pytest

from torch_kata.checks import (
    assert_equal,
    assert_frequencies,
    assert_type,
    check,
    fail,
    raises,
    same_random_state,
    torch,
)


@pytest.fixture
def samples(rng):
    """37 個各不相同的樣本；兩次排列碰巧相同的機會是 1/37!。"""
    return rng.normal((37,), dtype="float64")


def epochs(loader, count=1):
    """count 個 epoch 的樣本順序，(count, n)。"""
    return torch.stack([torch.cat(list(loader)) for _ in range(count)])


@pytest.mark.shape
@pytest.mark.parametrize("drop_last", [False, True], ids=["keep", "drop"])
@pytest.mark.parametrize("size, batch_size, seed", [(10, 4, None), (10, 4, 7), (3, 5, None)])
def test_batch_sizes(submission, rng, size, batch_size, seed, drop_last):
    """batch 的大小與個數，有沒有 seed 都一樣"""
    loader = submission.make_loader(rng.normal((size, 2)), batch_size, seed=seed, drop_last=drop_last)
    assert_type(loader, torch.utils.data.DataLoader)
    whole, rest = divmod(size, batch_size)
    expected = [batch_size] * whole + [rest] * (rest > 0 and not drop_last)
    assert_equal([len(batch) for batch in loader], expected, what="各 batch 的大小")
    assert_equal(len(loader), len(expected), what="len(loader)")


@pytest.mark.numeric
def test_every_sample_once(submission, samples, rng):
    """每個 epoch 每個樣本恰好一次，輸入與標籤成對"""
    labels = rng.permutation(37)
    expected = samples[labels.argsort()].clone()
    loader = submission.make_loader(torch.utils.data.TensorDataset(samples, labels), 5, seed=rng.seed())
    for epoch in (1, 2, 3):
        inputs, numbers = (torch.cat(parts) for parts in zip(*loader, strict=True))
        assert_equal(inputs[numbers.argsort()], expected, what=f"第 {epoch} 個 epoch 依標籤排好的樣本")


@pytest.mark.numeric
def test_every_order_equally_likely(submission, rng):
    """每種排列的機率相同"""
    loader = submission.make_loader(rng.permutation(4).sort().values, 2, seed=rng.seed())
    orders = Counter(tuple(epoch.tolist()) for epoch in epochs(loader, 600))
    assert_frequencies([orders[order] for order in permutations(range(4))], what="4 個樣本的 24 種排列")


@pytest.mark.behaviour
def test_shuffled(submission, samples, rng):
    """順序被打亂了"""
    order = epochs(submission.make_loader(samples.clone(), 5, seed=rng.seed()))
    check(not torch.equal(order[0], samples), "第一個 epoch 的順序就是資料集的順序：沒有打亂", order)


@pytest.mark.behaviour
@pytest.mark.parametrize("seeded", [True, False], ids=["seed", "no_seed"])
def test_epochs_differ(submission, samples, rng, seeded):
    """各 epoch 的順序不同，有沒有 seed 都一樣"""
    order = epochs(submission.make_loader(samples, 5, seed=rng.seed() if seeded else None), 3)
    for a, b in ((1, 2), (2, 3), (1, 3)):
        check(not torch.equal(order[a - 1], order[b - 1]), f"第 {a} 與第 {b} 個 epoch 的順序相同", order)


@pytest.mark.behaviour
@pytest.mark.parametrize("seed", [0, 2026, 2**32 - 1])
def test_same_seed(submission, samples, seed):
    """同一個 seed 逐 epoch 順序相同"""
    first, second = (submission.make_loader(samples, 5, seed=seed) for _ in range(2))
    one, two = zip(*[(epochs(first)[0], epochs(second)[0]) for _ in range(3)], strict=True)
    for epoch, (a, b) in enumerate(zip(one, two, strict=True), 1):
        check(torch.equal(a, b), f"兩個 loader 的 seed 都是 {seed}，第 {epoch} 個 epoch 的順序卻不同", [*one, *two])


@pytest.mark.behaviour
def test_other_seed(submission, samples, rng):
    """不同的 seed 順序不同"""
    seed = rng.seed()
    for other in (seed + 1, seed + 2**31):
        orders = [epochs(submission.make_loader(samples, 5, seed=s), 2) for s in (seed, other)]
        for a, b in ((0, 0), (0, 1), (1, 0), (1, 1)):
            same = torch.equal(orders[0][a], orders[1][b])
            check(not same, f"seed {seed} 的第 {a + 1} 個 epoch 與 seed {other} 的第 {b + 1} 個順序相同", orders)


@pytest.mark.behaviour
def test_without_seed(submission, samples):
    """沒有 seed 時，兩個 loader 順序不同"""
    orders = [epochs(submission.make_loader(samples, 5)) for _ in range(2)]
    check(not torch.equal(*orders), "沒有給 seed，兩次建立的 loader 卻給出相同的順序", orders)


@pytest.mark.behaviour
@pytest.mark.parametrize("seed", [0, 2026])
def test_global_random_state(submission, samples, seed):
    """給了 seed 就不動用全域亂數"""
    before = torch.get_rng_state()
    with same_random_state():
        loader = submission.make_loader(samples, 5, seed=seed)
        if not torch.equal(torch.get_rng_state(), before):
            fail("建立 loader 時動到了全域亂數狀態", torch.rand(4))
        epochs(loader, 2)
        if not torch.equal(torch.get_rng_state(), before):
            fail("迭代 loader 時動到了全域亂數狀態", torch.rand(4))


@pytest.mark.behaviour
@pytest.mark.parametrize("batch_size", [0, -3])
def test_batch_size_below_one(submission, samples, batch_size):
    """batch_size < 1：ValueError"""
    with raises(ValueError, batch_size):
        submission.make_loader(samples, batch_size)
