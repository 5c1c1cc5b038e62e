"""088 · 用 torch.multiprocessing 載入資料：評分

What the workers run lives in a module written when the grader runs. Under fork a call costs a tenth of a second; under
spawn each worker imports torch, so there one call with one worker must do.
"""

import contextlib
import functools
import importlib
import multiprocessing
import os
import sys
import warnings
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_equal,
    assert_type,
    call_within,
    check,
    fail,
    nothing_left_running,
    shared_rng,
    torch,
)

HELPER = '''
import os, time
from pathlib import Path
import torch


def tensor_of(path):
    """The tensor that stands for a path, whose name ends with its number."""
    number = int(str(path).rpartition("-")[2])
    dtype = [torch.float32, torch.int64, torch.float64][number % 3]
    return torch.arange(number, number + 2 * (number % 5 + 1)).view(2, -1).to(dtype)


inherited = False  # True in the process that grades, and in what is forked from it


def load(folder, path):
    """Notes in which process it was loaded, and whether that was forked."""
    Path(folder, f"{os.getpid()}.pid").write_text(str(inherited))
    return tensor_of(path)


def load_first_last(folder, first, last, path):
    """The first path waits until the last one has been loaded, at most 3 s."""
    mark, deadline = Path(folder, "last"), time.monotonic() + 3
    while str(path) == first and not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    if str(path) == last:
        mark.touch()
    time.sleep(0.3 if str(path) == first else 0.02)
    return tensor_of(path)


def load_together(folder, others, path):
    """How many loads were in progress at most while this one was; it goes on when `others` are, or after 3 s."""
    name, most, deadline = str(path).replace("/", "-"), 0, time.monotonic() + (3 if others else 0.1)
    Path(folder, f"{name}.begun").touch()
    while time.monotonic() < deadline and (most < others or not others):
        names = os.listdir(folder)
        most = max(most, sum(n.endswith(".begun") for n in names) - sum(n.endswith(".ended") for n in names))
        time.sleep(0.005)
    time.sleep(0.05)
    Path(folder, f"{name}.ended").touch()
    return torch.tensor(most)


def load_or_fail(folder, bad, path):
    """Raises for the bad path, while the other load, which takes 3 s, is in progress."""
    mark, deadline = Path(folder, "begun"), time.monotonic() + 5
    if str(path) == bad:
        while not mark.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        raise ValueError("broken header")
    mark.touch()
    time.sleep(3)
    return tensor_of(path)


def load_slowly(path):
    """Takes 200 ms, and says when it began and ended."""
    began = time.monotonic()
    time.sleep(0.2)
    return torch.tensor([began, time.monotonic()], dtype=torch.float64)
'''


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """What the workers import, under a name that nobody can know beforehand."""
    folder = tmp_path_factory.mktemp("loading")
    name = f"kata_loading_{os.urandom(8).hex()}"
    (folder / f"{name}.py").write_text(HELPER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        module = importlib.import_module(name)
        module.inherited = True
        yield module
    sys.modules.pop(name, None)


@contextlib.contextmanager
def started_by(method):
    """Processes are started by this method in the block: fork where it exists, unless spawn is asked for."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(method if method in multiprocessing.get_all_start_methods() else None, force=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forking with threads
            yield
    finally:
        multiprocessing.set_start_method(before, force=True)


def load(submission, *arguments, method="fork", seconds=15, **settings):
    """parallel_load(*arguments, **settings), or its exception; processes that it leaves are ended."""
    with started_by(method):
        try:
            return call_within(seconds, submission.parallel_load, *arguments, what="parallel_load ", **settings)
        finally:
            for process in multiprocessing.active_children():
                process.kill()
                process.join()


def paths_of(rng, count):
    """Paths with different numbers in random order."""
    numbers = rng.permutation(9000)[:count].tolist()
    return [f"data/sample-{1000 + number}" for number in numbers]


def number_of(tensor):
    """The number of the path that a tensor comes from."""
    return int(tensor.flatten()[0]) if isinstance(tensor, torch.Tensor) and tensor.numel() else -1


@pytest.mark.numeric
def test_values(submission, helper, rng, tmp_path):
    """每個 path 的張量（值、dtype、形狀），傳回 list"""
    paths = [tmp_path / path for path in paths_of(rng, 11)]
    expected = sorted(map(helper.tensor_of, paths), key=number_of)
    found = load(submission, paths, helper.tensor_of)
    assert_type(found, list, "傳回值")
    assert_equal(sorted(found, key=number_of), expected, "依大小排列的各個張量")


@pytest.mark.numeric
def test_order(submission, helper, rng, tmp_path):
    """順序同 paths，第一個最慢時也是"""
    paths = paths_of(rng, 6)
    work = functools.partial(helper.load_first_last, str(tmp_path), paths[0], paths[-1])
    numbers = [number_of(tensor) for tensor in load(submission, paths, work)]
    expected = [int(path.rpartition("-")[2]) for path in paths]
    evidence = [expected.index(n) if n in expected else -1 for n in numbers]
    check(numbers == expected, f"第 0 個最慢時，傳回的是第 {evidence} 個 path 的張量，順序應同 paths", evidence)


@pytest.mark.numeric
def test_few_paths(submission, helper, rng):
    """空的 paths；比 num_workers 少的 paths"""
    assert_equal(load(submission, [], helper.tensor_of), [], "paths 是空的，傳回值")
    paths = paths_of(rng, 1)
    found = load(submission, paths, helper.tensor_of, num_workers=3)
    assert_equal(found, [helper.tensor_of(paths[0])], "只有一個 path，傳回值")


@pytest.mark.behaviour
@pytest.mark.parametrize("workers", [1, 2])
def test_other_processes(submission, helper, rng, tmp_path, workers):
    """載入都在別的行程"""
    load(submission, paths_of(rng, 5), functools.partial(helper.load, str(tmp_path)), num_workers=workers)
    pids = {int(path.stem) for path in tmp_path.glob("*.pid")}
    check(os.getpid() not in pids, f"num_workers={workers} 時，load_fn 在呼叫者自己的行程裡執行了", "own process")
    check(pids, "沒有呼叫 load_fn", "not called")


@pytest.mark.behaviour
def test_workers_at_once(submission, helper, rng, tmp_path):
    """num_workers=3 時，三個載入同時進行"""
    work = functools.partial(helper.load_together, str(tmp_path), 3)
    most = max(int(tensor) for tensor in load(submission, paths_of(rng, 3), work, num_workers=3))
    check(most >= 3, f"num_workers=3、3 個 path，同時進行的載入最多只有 {most} 個", most)


@pytest.mark.behaviour
def test_no_more_workers(submission, helper, rng, tmp_path):
    """同時進行的載入不超過 num_workers"""
    work = functools.partial(helper.load_together, str(tmp_path), 0)
    most = max(int(tensor) for tensor in load(submission, paths_of(rng, 6), work, num_workers=2))
    check(most <= 2, f"num_workers=2、6 個 path，卻有 {most} 個載入同時進行", "too many")


@pytest.mark.behaviour
def test_shared_memory(submission, helper, rng):
    """傳回的張量在 shared memory"""
    found = load(submission, paths_of(rng, 5), helper.tensor_of)
    shared = [isinstance(tensor, torch.Tensor) and tensor.is_shared() for tensor in found]
    check(all(shared), f"{len(shared)} 個張量中有 {shared.count(False)} 個不在 shared memory（is_shared()）", shared)


@pytest.mark.behaviour
def test_spawn(submission, helper, rng, tmp_path):
    """start method 是 spawn 時也行"""
    paths = paths_of(rng, 2)
    work = functools.partial(helper.load, str(tmp_path))
    expected = [helper.tensor_of(path) for path in paths]
    try:
        found = load(submission, paths, work, num_workers=1, method="spawn", seconds=60)
    except Exception as error:
        if isinstance(error, NotImplementedError | AssertionError):
            raise
        last = (str(error).strip().splitlines() or [""])[-1][:200]
        fail(f"start method 是 spawn 時拋出 {type(error).__name__}: {last}", f"spawn {type(error).__name__}")
    assert_equal(found, expected, "start method 是 spawn 時，傳回的張量")
    forked = any(path.read_text() == "True" for path in tmp_path.glob("*.pid"))
    check(not forked, "start method 是 spawn，worker 卻是 fork 出來的：用目前的 start method，不要寫死", "forked")


@pytest.mark.behaviour
def test_nothing_left(submission, helper, rng):
    """正常結束之後，不留下行程與執行緒"""
    with started_by("fork"), nothing_left_running(1.5):
        call_within(15, submission.parallel_load, paths_of(rng, 3), helper.tensor_of, what="parallel_load ")


@pytest.fixture(scope="module")
def failure(submission, helper, request, tmp_path_factory):
    """One call in which a load fails while another is in progress: what it raises or returns, and what it leaves."""
    bad, good = paths_of(shared_rng(request), 2)
    work = functools.partial(helper.load_or_fail, str(tmp_path_factory.mktemp("failure")), bad)
    found = SimpleNamespace(bad=bad, error=None, result=None, left=None)

    def call():
        try:
            found.result = submission.parallel_load([bad, good], work, num_workers=2)
        except Exception as error:
            found.error = error

    with started_by("fork"):
        try:
            with nothing_left_running(1.5):
                call_within(20, call, what="有一個載入失敗時，parallel_load ")
        except AssertionError as error:
            found.left = error
    if isinstance(found.error, NotImplementedError):
        raise found.error
    return found


@pytest.mark.behaviour
def test_error(failure):
    """load_fn 拋出例外：例外的訊息說出是哪個 path"""
    if failure.error is None:
        fail("有一個 load_fn 拋出了例外，parallel_load 卻沒有", "no exception")
    message = f"{failure.error} {failure.error.__cause__ or ''}"
    told = f"{type(failure.error).__name__}: {str(failure.error).strip()[-200:]}"
    check(failure.bad in message, f"例外的訊息應提到 {failure.bad!r}，得到「{told}」", "silent")


@pytest.mark.behaviour
def test_error_ends_workers(failure):
    """一個載入出錯時別的還沒完，也不留下行程"""
    if failure.left is not None:
        raise failure.left


@pytest.mark.speed
def test_speed(submission, helper, rng):
    """2 個 worker 至少快 1.5 倍"""
    if "fork" not in multiprocessing.get_all_start_methods():
        return  # the contract says: where it exists
    # Each load only waits. Without the start of the processes, which takes longer the busier the machine is, four
    # legitimate answers came to 1.7 to 2.0 times the speed of one by one, one worker to 0.9 (load 8 on two cores).
    # Handing on a path takes up to 40 ms at load 45, where loads of 0.1 s came to 1.4: they take 0.2 s.
    ratios = []
    while len(ratios) < 3 and max(ratios, default=0) < 1.5:
        times = torch.stack(load(submission, paths_of(rng, 12), helper.load_slowly, num_workers=2))
        ratios.append(float((times[:, 1] - times[:, 0]).sum() / (times[:, 1].max() - times[:, 0].min())))
    best = max(ratios)
    check(best >= 1.5, f"12 個各等 0.2 秒的載入，2 個 worker 只比一個一個載入快 {best:.2f} 倍，至少要 1.5 倍", "slow")
