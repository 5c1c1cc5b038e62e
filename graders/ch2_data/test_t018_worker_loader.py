"""018 · 多進程的 DataLoader：評分

What the workers use lives in a module that is written when the grader runs: where workers are spawned instead of forked
they must be able to import it.
"""

import importlib
import itertools
import os
import random
import sys
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_dtype,
    assert_equal,
    assert_type,
    check,
    fail,
    nothing_left_running,
    np,
    shared_rng,
    torch,
)

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create", "ignore:Length of IterableDataset")

LIBRARIES = pytest.mark.parametrize("column, library", [(2, "random"), (3, "NumPy"), (4, "torch")])
HELPER = '''
import random
import numpy, torch
from torch.utils.data import get_worker_info


class Draws:
    """Each item: the worker, how many there are, and one draw of each global stream."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        if not 0 <= index < 8:
            raise IndexError(index)
        info = get_worker_info()
        drawn = [random.random(), numpy.random.random(), torch.rand((), dtype=torch.float64).item()]
        return torch.tensor([info.id if info else -1, info.num_workers if info else 0, *drawn], dtype=torch.float64)


def with_worker(batch):
    return get_worker_info().id, batch
'''


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """What the workers import."""
    folder = tmp_path_factory.mktemp("workers")
    name = f"kata_workers_{os.urandom(8).hex()}"
    (folder / f"{name}.py").write_text(HELPER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(name)
    sys.modules.pop(name, None)


def interleaved(loaders, epochs, between=lambda: None):
    """Each loader's epochs, one tensor an epoch; the loaders take turns. Their workers have ended on return."""
    rounds = []
    for _ in range(epochs):
        turn = []
        for loader in loaders:
            between()
            turn.append(torch.cat(list(loader)))
        rounds.append(turn)
    return [list(epochs_of_one) for epochs_of_one in zip(*rounds, strict=True)]


def shake(rng):
    """Moves the global streams on."""
    steps = rng.integer(1, 50)
    torch.rand(steps), np.random.random(steps), random.seed(steps)


@pytest.fixture(scope="module")
def streams(submission, helper, request):
    """What two workers draw: two loaders of one seed, two epochs each, and one of another seed."""
    rng = shared_rng(request)
    seed = rng.seed()
    torch.manual_seed(rng.seed()), np.random.seed(rng.seed()), random.seed(rng.seed())

    def run():
        loaders = [submission.make_loader(helper.Draws(), 1, 2, seed=s) for s in (seed, seed, seed + 1)]
        first, second = interleaved(loaders[:2], 2, lambda: shake(rng))
        return SimpleNamespace(first=first, second=second, other=torch.cat(list(loaders[2])), seed=seed)

    with nothing_left_running():
        return run()


@pytest.fixture(scope="module")
def plain(submission, helper, request):
    """A plain DataLoader over 23 numbers with three workers: each batch, with the worker it comes from."""
    start = shared_rng(request).integer(-30, -15)
    dataset = submission.ShardedRange(start, start + 23)
    loader = torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=3, collate_fn=helper.with_worker)
    batches = [(worker, torch.tensor(batch)) for worker, batch in loader]
    return SimpleNamespace(batches=batches, start=start)


def by_worker(epoch, column):
    """A stream's draws by worker; column 0 holds the worker."""
    return {int(w): epoch[epoch[:, 0] == w][:, column] for w in epoch[:, 0].unique()}


@pytest.mark.shape
@pytest.mark.parametrize("start, stop", [(0, 7), (-5, 6), (4, 4)])
def test_length(submission, start, stop):
    """len(dataset) 是全部的個數"""
    assert_equal(len(submission.ShardedRange(start, stop)), stop - start, f"len(ShardedRange({start}, {stop}))")


@pytest.mark.shape
def test_batches(submission, rng):
    """num_workers = 0 時各 batch 的大小"""
    start = rng.integer(-9, 9)
    loader = submission.make_loader(submission.ShardedRange(start, start + 11), 4, 0)
    assert_type(loader, torch.utils.data.DataLoader, "make_loader 的回傳值")
    assert_equal([len(batch) for batch in loader], [4, 4, 3], "11 個數、batch_size=4，各 batch 的大小")


@pytest.mark.numeric
def test_in_order(submission, rng):
    """不在 worker 裡時依序給出全部，可以重來"""
    start = rng.integer(-30, -1)
    dataset = submission.ShardedRange(start, start + 13)
    for which in ("第一次", "第二次"):
        assert_equal(list(dataset), list(range(start, start + 13)), f"{which}迭代 ShardedRange({start}, {start + 13})")


def assert_each_once(batches, start, stop, batch_size):
    """Every number of the range once, in int64 batches of at most batch_size."""
    for batch in batches:
        assert_dtype(batch, "int64", "batch")
    numbers = [number for batch in batches for number in batch.tolist()]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    missing = sorted(set(range(start, stop)) - set(numbers))
    strange = sorted(set(numbers) - set(range(start, stop)))
    if twice or missing or strange:
        named = {"重複": twice, "缺少": missing, "不該出現": strange}
        told = "、".join(f"{what} {found[:5]}（{len(found)} 個）" for what, found in named.items() if found)
        fail(f"{start} 到 {stop - 1} 應各出現一次，卻{told}", numbers)
    largest = max(map(len, batches))
    check(largest <= batch_size, f"batch_size={batch_size}，卻有一個 batch 有 {largest} 個數", numbers)


@pytest.mark.numeric
@pytest.mark.parametrize("workers, size", [(0, 11), (1, 11), (2, 11), (3, 2), (3, 11)])
def test_each_number_once(submission, rng, workers, size):
    """make_loader：每個數恰好一次"""
    start = rng.integer(2, 9)
    dataset = submission.ShardedRange(start, start + size)
    with nothing_left_running():
        batches = list(submission.make_loader(dataset, 3, workers))
    assert_each_once(batches, start, start + size, 3)


@pytest.mark.numeric
def test_map_style(submission, rng):
    """map-style 的 dataset：依序，最後不滿的 batch 也在"""
    numbers = rng.permutation(11).tolist()
    expected = [numbers[:4], numbers[4:8], numbers[8:]]
    for workers in (0, 2):
        with nothing_left_running():
            batches = [batch.tolist() for batch in submission.make_loader([*numbers], 4, workers)]
        assert_equal(batches, expected, f"num_workers = {workers}，各 batch")


@pytest.mark.numeric
def test_plain_loader(plain):
    """直接用 DataLoader：每個數恰好一次"""
    assert_each_once([batch for _, batch in plain.batches], plain.start, plain.start + 23, 4)


@pytest.mark.behaviour
def test_work_is_shared(plain):
    """每個 worker 都分到一份"""
    shares = [sum(len(batch) for worker, batch in plain.batches if worker == own) for own in range(3)]
    check(all(shares), f"23 個數、3 個 worker，各分到 {shares} 個：有 worker 什麼也沒做", shares)


@pytest.mark.behaviour
def test_number_of_workers(streams):
    """有 num_workers 個 worker"""
    found = sorted({(int(row[0]), int(row[1])) for row in streams.first[0]})
    names = [f"{worker}/{of}" if of else "主行程" for worker, of in found]
    check(found == [(0, 2), (1, 2)], f"num_workers=2，應由 worker 0/2 與 1/2 讀取，卻是 {'、'.join(names)}", names)


@pytest.mark.behaviour
@pytest.mark.parametrize("workers", [0, 1, 3])
def test_loader_workers(submission, helper, workers):
    """loader 的 num_workers 照給的，map-style 與 iterable 都是"""
    for dataset in (helper.Draws(), submission.ShardedRange(0, 7)):
        found = submission.make_loader(dataset, 2, workers).num_workers
        assert_equal(found, workers, f"{type(dataset).__name__} 的 loader，num_workers")


@pytest.mark.behaviour
@LIBRARIES
def test_workers_differ(streams, column, library):
    """同一個 epoch，各 worker 的全域亂數不同"""
    for number, epoch in enumerate(streams.first):
        own = by_worker(epoch, column)
        for a, b in itertools.combinations(own, 2):
            if torch.isin(own[a], own[b]).any():
                fail(f"第 {number} 個 epoch，worker {a} 與 {b} 的 {library} 亂數相同", epoch[:, column])


@pytest.mark.behaviour
@LIBRARIES
def test_epochs_differ(streams, column, library):
    """各 epoch 的全域亂數不同，哪個 worker 都是"""
    one, two = (epoch[:, column] for epoch in streams.first)
    if torch.isin(one, two).any():
        fail(
            f"第 0 與第 1 個 epoch 裡出現相同的 {library} 亂數：每個 epoch 都從同樣的種子開始？",
            torch.stack([one, two]),
        )


def assert_same_draws(a, b, what):
    for column, library in ((2, "random"), (3, "NumPy"), (4, "torch")):
        if not torch.equal(a[:, column], b[:, column]):
            fail(f"{what}，worker 裡的 {library} 亂數卻不同", torch.stack([a[:, 2:], b[:, 2:]]))


@pytest.mark.behaviour
def test_same_seed(streams):
    """同一個 seed 逐 epoch 重現亂數"""
    for number, (a, b) in enumerate(zip(streams.first, streams.second, strict=True)):
        assert_same_draws(a, b, f"兩個 loader 的 seed 都是 {streams.seed}，第 {number} 個 epoch")


@pytest.mark.behaviour
def test_default_seed(submission, helper, rng):
    """seed 預設是 0"""
    loaders = submission.make_loader(helper.Draws(), 5, 1), submission.make_loader(helper.Draws(), 5, 1, seed=0)
    (a,), (b,) = interleaved(loaders, 1, lambda: shake(rng))
    assert_same_draws(a, b, "一個 loader 沒有給 seed，另一個 seed=0")


@pytest.mark.behaviour
def test_other_seed(streams):
    """不同的 seed，亂數不同"""
    for column, library in ((2, "random"), (3, "NumPy"), (4, "torch")):
        mine, other = streams.first[0][:, column], streams.other[:, column]
        same = f"seed {streams.seed} 與 {streams.seed + 1}，worker 裡的 {library} 亂數相同"
        check(not torch.equal(mine, other), same, torch.stack([mine, other]))


@pytest.mark.behaviour
def test_global_random_state(submission, rng):
    """不動主行程的全域亂數"""
    states = lambda: [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]
    names, before = ("torch", "random", "NumPy"), states()

    def compare(when):
        for name, old, now in zip(names, before, states(), strict=True):
            if old != now:
                fail(f"{when}時動到了主行程的 {name} 全域亂數", [float(torch.rand(())), random.random()])

    loader = submission.make_loader(submission.ShardedRange(0, 5), 2, 0, seed=rng.seed())
    compare("建立 loader ")
    list(loader), list(loader)
    compare("迭代 loader ")
