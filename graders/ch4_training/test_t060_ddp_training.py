"""060 · DistributedDataParallel：評分

A call costs seconds, since every rank imports torch (and DistributedDataParallel the compiler): most checks read the
record of one shared run. What the ranks must unpickle lives in a module that is written when the grader runs.
"""

import functools
import importlib
import os
import re
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_tensor,
    assert_type,
    check,
    fail,
    nothing_left_running,
    shared_rng,
    torch,
)

FEATURES, OUTPUTS = 5, 3
HELPER = '''
import atexit, multiprocessing.util, os, sys, time
from pathlib import Path
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def arrive(folder):
    Path(folder, f"{os.getpid()}.here").touch()


def wait_for(folder, ranks, seconds):
    deadline = time.monotonic() + seconds
    while len(list(Path(folder).glob("*.here"))) < ranks and time.monotonic() < deadline:
        time.sleep(0.01)


class Network(nn.Module):
    """Notes, for each rank in a file of its own, what goes in and the weights at that moment, and those at the end.

    Its first forward waits until `meet` ranks have come to the folder `meeting`.
    """

    def __init__(self, folder=None, meeting=None, meet=0):
        super().__init__()
        self.folder, self.meeting, self.meet = folder, meeting, meet
        self.layers = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3))
        self.register_buffer("scale", torch.tensor([1.5, 0.5, -1.0]))
        self.notes = {"rank": -1, "wrapped": True, "inputs": [], "weights": []}
        if folder:
            atexit.register(self.finish)
            multiprocessing.util.Finalize(None, self.finish, exitpriority=0)

    def forward(self, x):
        if self.folder:
            self.note(x)
        return self.layers(x) * self.scale

    def note(self, x):
        if not self.notes["inputs"]:
            self.notes["rank"] = dist.get_rank() if dist.is_initialized() else -1
            arrive(self.meeting)
            wait_for(self.meeting, self.meet, 12)
        frame, wrapped = sys._getframe(), False
        while frame and not wrapped:
            owner = frame.f_locals.get("self")
            wrapped = isinstance(owner, DistributedDataParallel) and owner.module is self
            frame = frame.f_back
        self.notes["wrapped"] &= wrapped
        self.notes["inputs"].append(x.detach().cpu().clone())
        self.notes["weights"].append(self.flat())
        self.save()

    def finish(self):
        if self.notes["inputs"] and len(self.notes["weights"]) == len(self.notes["inputs"]):
            self.notes["weights"].append(self.flat())
            self.save()

    def flat(self):
        return torch.cat([p.detach().reshape(-1) for p in self.parameters()]).cpu().clone()

    def save(self):
        path = Path(self.folder, f"{os.getpid()}.pt")
        torch.save(self.notes, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)


def failing(folder, caller, bad_rank, fault, others):
    """In the bad rank raises ValueError(fault) or dies with the exit code fault; in the others rests, then a model."""
    if os.getpid() != caller:
        if dist.is_initialized():
            bad = dist.get_rank() == bad_rank
        else:
            try:
                Path(folder, "first").touch(exist_ok=False)
                bad = True
            except FileExistsError:
                bad = False
        if bad:
            wait_for(folder, others, 5)
            Path(folder, "mark").touch()
            if isinstance(fault, int):
                os._exit(fault)
            raise ValueError(fault)
        arrive(folder)
        time.sleep(12)
    return Network()
'''


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """What the ranks import, under a name that nobody can know beforehand."""
    folder = tmp_path_factory.mktemp("ranks")
    name = f"kata_ranks_{os.urandom(8).hex()}"
    (folder / f"{name}.py").write_text(HELPER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(name)
    sys.modules.pop(name, None)


def data(rng, length):
    """Random samples and targets on the CPU, where a dataset lives."""
    return rng.normal((length, FEATURES)).cpu(), rng.normal((length, OUTPUTS)).cpu()


def ranks_orders(length, world_size, seed, epoch):
    """The order in which each rank sees the samples, from torch's own sampler."""
    samplers = [torch.utils.data.DistributedSampler(range(length), world_size, r, seed=seed) for r in range(world_size)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers]


def in_one_process(helper, x, y, *, world_size, epochs, batch_size, lr, seed):
    """SGD on the global batches, written out in float64."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = helper.Network().double()
    x, y = x.double(), y.double()
    for epoch in range(epochs):
        orders = ranks_orders(len(x), world_size, seed, epoch)
        together = torch.tensor(orders).T.reshape(-1)  # step by step, every rank gives its share
        for rows in together.split(batch_size):
            loss = ((model(x[rows]) - y[rows]) ** 2).mean()
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= lr * gradient
    return {name: value.detach() for name, value in model.state_dict().items()}


def assert_trained(result, expected, what="訓練後的"):
    """The state_dict of one process, to 1e-6 (float32 rounding of a dozen steps stays below 3e-7)."""
    assert_type(result, dict, "傳回值")
    assert_equal(sorted(result), sorted(expected), "state_dict 的鍵")
    assert_close(dict(result), expected, rtol=1e-6, atol=1e-6, what=what)


class Call(threading.Thread):
    """A call in a thread of its own, with what it returned or raised."""

    def __init__(self, call):
        super().__init__(name="torch-kata-call", daemon=True)
        self.call, self.outcome = call, None
        self.start()

    def run(self):
        try:
            self.outcome = self.call()
        except BaseException as error:
            self.outcome = error


def wait(until, seconds, since="呼叫後"):
    """Until `until()` is true; fails when that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            fail(f"{since} {seconds} 秒，train_ddp 還沒有返回", "hang")
        time.sleep(0.02)


@pytest.fixture(scope="module")
def run(submission, helper, request, tmp_path_factory):
    """One run and what its ranks noted, its last batch smaller than the others; and a second run while it lasts.

    The second starts when the ranks of the first have met, so that a collision harms the second alone.
    """
    rng = shared_rng(request)
    notes_of, meeting = (tmp_path_factory.mktemp(name) for name in ("notes", "meeting"))
    # With CUDA the second run has nccl and a rank on each device.
    size, backend = (torch.cuda.device_count(), "nccl") if rng.device.type == "cuda" else (1, "gloo")

    def prepared(length, folder, **settings):
        x, y = data(rng, length)
        settings["seed"] = rng.integer(1, 1000)
        oracle = {key: value for key, value in settings.items() if key != "backend"}
        make = functools.partial(helper.Network, str(folder), str(meeting), 2 + size)
        dataset = torch.utils.data.TensorDataset(x.clone(), y.clone())
        call = functools.partial(submission.train_ddp, make, dataset, **settings)
        return SimpleNamespace(call=call, x=x, expected=in_one_process(helper, x, y, **oracle), **settings)

    first = prepared(22, notes_of, world_size=2, epochs=3, batch_size=8, lr=0.05)
    folder = tmp_path_factory.mktemp("second")
    second = prepared(8 * size, folder, world_size=size, epochs=2, batch_size=4 * size, lr=0.3, backend=backend)
    before = dict(os.environ)
    with nothing_left_running():
        calls = [Call(first.call)]
        wait(lambda: not calls[0].is_alive() or len(list(meeting.glob("*.here"))) == 2, 100)
        if not isinstance(calls[0].outcome, BaseException):
            calls.append(Call(second.call))
        wait(lambda: not any(call.is_alive() for call in calls), 100)
    first.changed = sorted(name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name))
    os.environ.clear()
    os.environ.update(before)
    if isinstance(calls[0].outcome, BaseException):
        raise calls[0].outcome
    first.result, second.result, first.second = calls[0].outcome, calls[1].outcome, second
    first.met = len(list(meeting.glob("*.here")))
    notes = {int(path.stem): torch.load(path, weights_only=True) for path in notes_of.glob("*.pt")}
    first.pids = list(notes)
    first.ranks = [notes[pid] for pid in sorted(notes, key=lambda pid: (notes[pid]["rank"], pid))]
    rows_of = lambda batch: (batch[:, None] == first.x).all(-1).int().argmax(1).tolist()
    first.seen = [[rows_of(batch) for batch in rank["inputs"]] for rank in first.ranks]
    return first


def epochs_of(run):
    """For each epoch, what each rank saw in it: lists of sample numbers."""
    share = len(run.x) // run.world_size
    everything = [sum(batches, []) for batches in run.seen]
    return [[rank[epoch * share : (epoch + 1) * share] for rank in everything] for epoch in range(run.epochs)]


@pytest.mark.shape
def test_state_dict(run):
    """傳回 CPU 上的 state_dict，鍵沒有 module. 前綴"""
    assert_type(run.result, dict, "傳回值")
    assert_equal(sorted(run.result), sorted(run.expected), "state_dict 的鍵")
    for name, value in run.result.items():
        assert_tensor(value, name)
        assert_dtype(value, "float32", name)
        check(value.device.type == "cpu", f"{name} 應在 CPU，得到 {value.device}", str(value.device))


@pytest.mark.numeric
def test_equals_one_process(run):
    """結果等於單一行程以整個 batch 訓練"""
    assert_trained(run.result, run.expected)


@pytest.mark.behaviour
def test_processes(run):
    """開了 world_size 個真正的行程"""
    others = [pid for pid in run.pids if pid != os.getpid()]
    check(len(others) == len(run.pids), "模型在呼叫者自己的行程裡訓練了", "own process")
    check(len(others) == run.world_size, f"應有 {run.world_size} 個行程在訓練，得到 {len(others)} 個", len(others))


@pytest.mark.behaviour
def test_wrapped(run):
    """每個 rank 的 forward 都經過 DistributedDataParallel"""
    bare = [number for number, rank in enumerate(run.ranks) if not rank["wrapped"]]
    check(not bare, f"第 {bare} 個 rank 的 forward 沒有經過 DistributedDataParallel", f"bare {bare}")


@pytest.mark.numeric
def test_ranks_agree(run):
    """各 rank 的權重在每一步與結束時都相同"""
    first, *others = [rank["weights"] for rank in run.ranks]
    check(others, "只有一個 rank 在訓練", "one rank")
    for number, weights in enumerate(others, start=1):
        count = min(len(first), len(weights))
        assert_close(weights[:count], first[:count], rtol=0, atol=0, what=f"rank {number} 的權重（對照 rank 0）")


@pytest.mark.behaviour
def test_each_sample_once(run):
    """每個 epoch 裡，所有 rank 合起來每筆資料恰好一次"""
    everything = list(range(len(run.x)))
    for number, shares in enumerate(epochs_of(run)):
        met = sorted(sum(shares, []))
        missing, twice = sorted(set(everything) - set(met)), sorted({i for i in met if met.count(i) > 1})
        if met != everything:
            fail(f"第 {number} 個 epoch：沒看到第 {missing[:6]} 筆，重複看到第 {twice[:6]} 筆", shares)


@pytest.mark.behaviour
def test_order(run):
    """順序同 DistributedSampler(seed=seed)，每個 epoch 重新洗牌"""
    for epoch, shares in enumerate(epochs_of(run)):
        wanted = ranks_orders(len(run.x), run.world_size, run.seed, epoch)
        if shares != wanted:
            fail(f"第 {epoch} 個 epoch 的順序不對：rank 0 應看到 {wanted[0]}，得到 {shares[0]}", epochs_of(run))


@pytest.mark.behaviour
def test_global_batch(run):
    """batch_size 是所有 rank 合計的大小"""
    sizes = [len(batch) for batch in run.seen[0]]
    share = run.batch_size // run.world_size
    rest = len(run.x) % run.batch_size // run.world_size
    wanted = ([share] * (len(run.x) // run.batch_size) + [rest]) * run.epochs
    assert_equal(sizes, wanted, f"batch_size={run.batch_size}、world_size={run.world_size} 時 rank 0 每步的筆數")


@pytest.mark.behaviour
def test_environment(run):
    """呼叫者的環境變數不變"""
    check(not run.changed, f"呼叫者的環境變數 {'、'.join(run.changed)} 被改動了", run.changed)


@pytest.mark.behaviour
@pytest.mark.parametrize("fault", ["raises", "dies"])
def test_failing_rank(submission, helper, rng, tmp_path, fault):
    """一個 rank 拋出例外或死去：呼叫者得到說明原因的例外，不留下行程"""
    # A process is dear: where a rank raises there is another to be ended, and the one that dies is alone.
    reason, bad_rank, world_size = rng.integer(100, 200), 0, 1
    if fault == "raises":
        reason, bad_rank, world_size = f"第 {rng.integer(10**6, 10**7)} 號權重壞了", 1, 2
    # The sound rank rests in make_model, and then the other fails: so that one is the first to fail for certain, and
    # the sound one ends early only if the caller ends it.
    make = functools.partial(helper.failing, str(tmp_path), os.getpid(), bad_rank, reason, world_size - 1)
    dataset = torch.utils.data.TensorDataset(*data(rng, 12))
    settings = {"world_size": world_size, "epochs": 1, "batch_size": 4, "lr": 0.1}
    call = functools.partial(submission.train_ddp, make, dataset, **settings)
    with nothing_left_running():
        call = Call(call)
        wait(lambda: not call.is_alive() or (tmp_path / "mark").exists(), 100)
        wait(lambda: not call.is_alive(), 30, "rank 出錯後")
    outcome = call.outcome
    if not isinstance(outcome, BaseException):
        fail("有一個 rank 失敗了，train_ddp 卻正常返回", "no exception")
    if isinstance(outcome, NotImplementedError):
        raise outcome
    message = f"{outcome} {outcome.__cause__ or ''}"
    if not re.search(rf"(?<!\d)(?<!line ){reason}(?!\d)", message):
        named = f" rank 的例外訊息「{reason}」" if fault == "raises" else f" rank 的 exit code {reason}"
        fail(f"例外的訊息應提到{named}，得到「{type(outcome).__name__}: {str(outcome).strip()[-200:]}」", "silent")


@pytest.mark.numeric
def test_two_calls_at_once(run):
    """同時呼叫兩次，各自得到自己的結果"""
    second, outcome = run.second, run.second.result
    if isinstance(outcome, BaseException):
        lines = str(outcome).strip().splitlines() or [""]
        fail(f"同時呼叫兩次，後一次拋出 {type(outcome).__name__}: {lines[-1][:200]}", "collision")
    count = 2 + second.world_size
    check(run.met == count, f"world_size 合計 {count}，卻有 {run.met} 個行程在訓練", run.met)
    which = f"world_size={second.world_size}、backend={second.backend!r}"
    assert_trained(outcome, second.expected, f"同時呼叫兩次，後一次（{which}）訓練後的")
