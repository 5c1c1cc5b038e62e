"""066 · 自己寫的資料平行：評分

The ranks are forked where that is safe, which costs a hundredth of a new Python; what they run lives in a module that
is written when the grader runs. A rank that fails ends its group: the others would wait for it.
"""

import importlib
import multiprocessing
import os
import sys
import time
import warnings
from multiprocessing.connection import wait
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    assert_type,
    check,
    fail,
    forbid,
    nothing_left_running,
    shared_rng,
    torch,
)

pytestmark = forbid("nn.parallel.DistributedDataParallel", "nn.parallel.DataParallel")

HELPER = '''
import importlib, warnings
from datetime import timedelta
import torch
import torch.distributed as dist
from torch import nn


class Network(nn.Module):
    """Parameters of two dtypes, one of them 0-d, and two buffers, all from a seed."""

    def __init__(self, seed):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)

        def draw(*shape, dtype=torch.float32):
            return torch.randn(shape, generator=generator, dtype=dtype)

        self.inner = nn.Parameter(draw(4, 5))
        self.outer = nn.Parameter(draw(5, dtype=torch.float64))
        self.scale = nn.Parameter(draw())
        self.bias = nn.Parameter(draw(5))
        self.register_buffer("mean", draw(4))
        self.register_buffer("steps", torch.tensor(seed % 1009))

    def forward(self, x):
        hidden = ((x - self.mean) @ self.inner + self.bias).tanh()
        return hidden.to(self.outer.dtype) @ self.outer * self.scale


def told(tensors):
    return {name: value if value is None else value.tolist() for name, value in tensors.items()}


def broadcast(answer, rank, device, seed):
    model = Network(seed + rank).to(device)
    answer.broadcast_parameters(model, src=dist.get_world_size() - 1)
    return told(model.state_dict())


def average(answer, rank, device, gradients):
    """Averages the rank's own gradients, given as lists; None where it has none."""
    model = Network(1).to(device)
    for name, p in model.named_parameters():
        if gradients[rank][name] is not None:
            p.grad = torch.tensor(gradients[rank][name], dtype=p.dtype, device=device)
    answer.average_gradients(model)
    return told({name: p.grad for name, p in model.named_parameters()})


def train(answer, rank, device, seed, x, y, rate, steps):
    model = Network(seed + rank).to(device)
    parameters = list(model.parameters())  # as an optimizer holds them
    answer.broadcast_parameters(model)
    rows = answer.shard_indices(len(x), rank, dist.get_world_size())
    x, y = torch.tensor(x, device=device)[rows], torch.tensor(y, dtype=torch.float64, device=device)[rows]
    for _ in range(steps):
        ((model(x) - y) ** 2).mean().backward()
        answer.average_gradients(model)
        if any(p.grad is None for p in parameters):
            raise RuntimeError("優化器握著的參數沒有梯度：broadcast_parameters 把參數換成了別的物件")
        for p in parameters:
            with torch.no_grad():
                p.sub_(p.grad, alpha=rate)
            p.grad = None
    return told(dict(model.named_parameters()))


def collectives(answer, rank, device):
    """How many collectives it takes to average 50 gradients of two dtypes."""
    model = nn.Module()
    for number in range(50):
        dtype = torch.float64 if number % 3 == 1 else torch.float32
        p = nn.Parameter(torch.full((number % 7 + 1, 3), float(rank), dtype=dtype, device=device))
        p.grad = torch.ones_like(p)
        model.register_parameter(f"weight{number}", p)
    count = dist.group.WORLD._get_sequence_number_for_group
    before = count()
    answer.average_gradients(model)
    return count() - before


def run(answer, rank, world_size, backend, store, seconds, phases, pipe):
    """One rank: for each phase, what its function gave. It ends at the first error, if that is no TODO."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    device = torch.device("cuda", rank) if backend == "nccl" else torch.device("cpu")
    if backend == "nccl":
        torch.cuda.set_device(device)
    for kind in (nn.parallel.DistributedDataParallel, nn.parallel.DataParallel):
        kind.__init__ = forbidden
    module = importlib.import_module(answer)
    limit = timedelta(seconds=seconds)
    dist.init_process_group(backend, init_method=store, rank=rank, world_size=world_size, timeout=limit)
    for name, arguments in phases:
        try:
            pipe.send((name, globals()[name](module, rank, device, *arguments), ""))
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
            pipe.send((name, None, text[:300]))
            if "TODO" not in text:
                return
    pipe.send(("", None, ""))
    pipe.poll(30)  # until the others have all they need of it


def forbidden(self, *arguments, **settings):
    raise RuntimeError(f"這一題禁用 {type(self).__name__}：請自己實作")
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


class Ranks:
    """A group of ranks that go through some phases: what each gave, by phase, or why one did not."""

    def __init__(self, answer, helper, folder, world_size, phases, *, backend="gloo", seconds=60):
        method = "fork" if sys.platform == "linux" and not torch.cuda.is_available() else "spawn"
        context, store = multiprocessing.get_context(method), (folder / "store").as_uri()
        self.given = {name: [None] * world_size for name, _ in phases}
        self.errors = {}
        processes, pipes = [], []
        with nothing_left_running(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of forking with threads
            try:
                for rank in range(world_size):
                    ours, theirs = context.Pipe()
                    arguments = (answer.__name__, rank, world_size, backend, store, seconds, phases, theirs)
                    processes.append(context.Process(target=helper.run, args=arguments, daemon=True))
                    pipes.append((ours, theirs))
                    processes[-1].start()
                self._listen([ours for ours, _ in pipes], processes, phases)
            finally:
                for process in processes:
                    if process.pid:
                        process.kill()
                        process.join()
                for ours, theirs in pipes:
                    ours.close(), theirs.close()

    def _listen(self, pipes, processes, phases):
        waiting, deadline = set(range(len(pipes))), time.monotonic() + 90
        while waiting:
            ready = wait([pipes[rank] for rank in waiting], timeout=0.1)
            for rank in [rank for rank in waiting if pipes[rank] in ready]:
                name, value, error = pipes[rank].recv()
                if not name:
                    waiting.discard(rank)
                elif error:
                    self.errors.setdefault(name, f"rank {rank} 拋出 {error}")
                else:
                    self.given[name][rank] = value
            if any("TODO" not in error for error in self.errors.values()):
                return
            dead = [rank for rank in waiting if not ready and processes[rank].exitcode is not None]
            late = time.monotonic() > deadline
            if dead or late:
                unfinished = [n for n, _ in phases if n not in self.errors and None in self.given[n]]
                why = f"rank {dead[0]} 的行程突然結束" if dead else "有的 rank 一直沒有完成"
                self.errors.setdefault((unfinished or ["start"])[0], why)
                return

    def of(self, phase):
        """What each rank gave in the phase; fails, or is todo, where one gave nothing."""
        error = self.errors.get(phase) or next((e for e in self.errors.values() if "TODO" not in e), "")
        if phase not in self.errors and None not in self.given[phase]:
            return self.given[phase]
        if "NotImplementedError: TODO" in error:
            raise NotImplementedError(error.partition("NotImplementedError: ")[2])
        fail(
            f"{len(self.given[phase])} 個 rank 同時執行時出錯：{error}",
            f"error {error.partition(':')[0].rpartition(' ')[2]}",
        )


def gradients_of(rng, shapes, ranks):
    """For each rank and parameter, random numbers as nested lists, and their mean over the ranks in float64."""
    drawn = [{name: rng.normal(shape, dtype=dtype).cpu() for name, (shape, dtype) in shapes.items()} for _ in ranks]
    mean = {name: torch.stack([each[name].double() for each in drawn]).mean(0) for name in shapes}
    return [{name: value.tolist() for name, value in each.items()} for each in drawn], mean


SHAPES = {"inner": ((4, 5), "float32"), "outer": ((5,), "float64"), "scale": ((), "float32"), "bias": ((5,), "float32")}


@pytest.fixture(scope="module")
def ranks(submission, helper, request, tmp_path_factory):
    """Three ranks that broadcast, average, count and train; and what should come of it."""
    rng = shared_rng(request)
    seed, rate, steps = rng.integer(1, 10**6), 0.02, 3  # small: at 0.1 some starts diverge, and rounding with them
    gradients, mean = gradients_of(rng, SHAPES, range(3))
    x, y = rng.normal((14, 4)).cpu(), rng.normal((14,), dtype="float64").cpu()

    alone = helper.Network(seed)
    alone.to(torch.float64)
    sampler = torch.utils.data.DistributedSampler
    rows = [i for rank in range(3) for i in sampler(range(14), 3, rank, shuffle=False)]
    for _ in range(steps):
        loss = ((alone(x.double()[rows]) - y[rows]) ** 2).mean()
        for p, gradient in zip(alone.parameters(), torch.autograd.grad(loss, list(alone.parameters())), strict=True):
            p.data.sub_(gradient, alpha=rate)
    trained = {name: p.detach() for name, p in alone.named_parameters()}
    expected = SimpleNamespace(broadcast=helper.Network(seed + 2).state_dict(), average=mean, train=trained)
    phases = [
        ("broadcast", (seed,)),
        ("average", (gradients,)),
        ("collectives", ()),
        ("train", (seed, x.tolist(), y.tolist(), rate, steps)),
    ]
    group = Ranks(submission, helper, tmp_path_factory.mktemp("three"), 3, phases)
    return SimpleNamespace(of=group.of, expected=expected)


def tensors(told, like):
    """The lists that a rank sent, as tensors of the dtypes in `like`."""
    return {name: torch.tensor(told[name], dtype=value.dtype) for name, value in like.items()}


@pytest.mark.numeric
@pytest.mark.parametrize("length, world_size", [(12, 4), (11, 4), (16, 3), (5, 5), (9, 1)])
def test_shards(submission, length, world_size):
    """shard_indices 同 DistributedSampler(shuffle=False)"""
    assert_shards(submission, length, world_size)


@pytest.mark.numeric
@pytest.mark.parametrize("length, world_size", [(1, 4), (2, 5), (3, 8)])
def test_short_dataset(submission, length, world_size):
    """資料比 world_size 少時，每個 rank 也有一樣多"""
    assert_shards(submission, length, world_size)


def assert_shards(submission, length, world_size):
    sampler = torch.utils.data.DistributedSampler
    expected = [list(sampler(range(length), world_size, rank, shuffle=False)) for rank in range(world_size)]
    found = [submission.shard_indices(length, rank, world_size) for rank in range(world_size)]
    for shard in found:
        assert_type(shard, list, "shard_indices 的傳回值")
    assert_equal(found, expected, f"length={length}、world_size={world_size}，各 rank 的編號")


@pytest.mark.numeric
def test_broadcast(ranks):
    """broadcast 之後，每個 rank 的參數與 buffer 都是 src 的"""
    for rank, told in enumerate(ranks.of("broadcast")):
        for name, value in ranks.expected.broadcast.items():
            found = torch.tensor(told[name], dtype=value.dtype)
            what = f"broadcast_parameters(model, src=2) 之後，rank {rank} 的 {name} "
            assert_close(found, value, rtol=0, atol=0, what=what)


@pytest.mark.numeric
def test_average(ranks):
    """average_gradients 之後，每個 rank 的梯度都是平均"""
    for rank, told in enumerate(ranks.of("average")):
        for name, value in ranks.expected.average.items():
            check(told[name] is not None, f"rank {rank} 的 {name}.grad 變成 None", "None")
            found = torch.tensor(told[name], dtype=getattr(torch, SHAPES[name][1]))
            # 1e-12: float64 that goes through float32 is 1e-8 off, which the default tolerance of 1e-7 would let pass.
            tight = {"rtol": 1e-12, "atol": 1e-12} if SHAPES[name][1] == "float64" else {}
            assert_close(found, value, **tight, what=f"average_gradients 之後，rank {rank} 的 {name}.grad")


@pytest.mark.numeric
def test_training(ranks):
    """三個 rank 訓練的結果，等於單一行程用合起來的 batch"""
    for rank, told in enumerate(ranks.of("train")):
        for name, value in ranks.expected.train.items():
            found = torch.tensor(told[name], dtype=torch.float64)
            # float32 in the layers below: rounding stays under 2e-6 in a few steps.
            assert_close(found, value, rtol=1e-4, atol=1e-5, what=f"訓練之後，rank {rank} 的 {name} ")


@pytest.mark.behaviour
def test_collectives(ranks):
    """50 個參數、兩種 dtype，最多 4 次 collective"""
    most = max(ranks.of("collectives"))
    check(most <= 4, f"50 個參數、兩種 dtype，用了 {most} 次 collective，最多 4 次：同 dtype 的接成一條", most)


@pytest.mark.behaviour
@pytest.mark.parametrize("missing", ["one of a dtype", "all of a dtype", "everything"])
def test_missing_gradient(submission, helper, rng, tmp_path, missing):
    """某個 rank 沒有梯度的參數當作 0，不卡住也不中斷"""
    gradients, _ = gradients_of(rng, SHAPES, range(2))
    lacking = {"one of a dtype": ["inner"], "all of a dtype": ["outer"], "everything": list(SHAPES)}[missing]
    lacks = rng.integer(0, 2)
    for name in lacking:
        gradients[lacks][name] = None
    gradients[0]["bias"] = gradients[1]["bias"] = None
    group = Ranks(submission, helper, tmp_path, 2, [("average", (gradients,))], seconds=10)
    where = f"rank {lacks} 的 {'、'.join(lacking)} 沒有梯度"
    if "average" in group.errors and "TODO" not in group.errors["average"]:
        fail(f"{where}，{group.errors['average'][:200]}", "broken")
    kept = []
    for rank, told in enumerate(group.of("average")):
        for name in SHAPES:
            given = [each[name] for each in gradients if each[name] is not None]
            truth = sum((torch.tensor(each, dtype=torch.float64) for each in given), torch.zeros(SHAPES[name][0])) / 2
            what = f"{where}，average_gradients 之後 rank {rank} 的 {name}.grad"
            if told[name] is None:
                kept += [f"{what} 仍是 None，它的參數就不會和別的 rank 一起更新"] if given else []
                continue
            error = (torch.tensor(told[name], dtype=torch.float64) - truth).abs().max()
            check(error < 1e-5, f"{what} 不是平均（差 {error:.3g}）", "broken")
    check(not kept, "；".join(kept[:1]), "None kept")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["no group", "one rank"])
def test_one_process(submission, helper, rng, tmp_path, kind):
    """只有一個行程時什麼也不做"""
    gradients, truth = gradients_of(rng, SHAPES, range(1))
    gradients[0]["bias"] = None
    del truth["bias"]
    if kind == "one rank":
        group = Ranks(submission, helper, tmp_path, 1, [("broadcast", (5,)), ("average", (gradients,))])
        state = tensors(group.of("broadcast")[0], helper.Network(5).state_dict())
        given = group.of("average")[0]
        bias, found = given["bias"], tensors(given, truth)
    else:
        model = helper.Network(5)
        for name, p in model.named_parameters():
            if name in truth:
                p.grad = torch.tensor(gradients[0][name], dtype=p.dtype)
        submission.broadcast_parameters(model)
        submission.average_gradients(model)
        state = dict(model.state_dict())
        bias, found = model.bias.grad, {name: p.grad.double() for name, p in model.named_parameters() if name in truth}
    assert_equal(state, dict(helper.Network(5).state_dict()), "broadcast_parameters 之後的模型")
    assert_close(found, truth, rtol=0, atol=0, what="average_gradients 之後的梯度")
    # In a group of one, where no rank has the gradient, zeros are as good as None.
    check(kind == "one rank" or bias is None, "只有一個行程，沒有梯度的參數卻有了 .grad", "grad")


@pytest.mark.cuda
@pytest.mark.numeric
def test_nccl(submission, helper, rng, tmp_path):
    """nccl，每個裝置一個 rank"""
    count = torch.cuda.device_count()
    gradients, mean = gradients_of(rng, SHAPES, range(count))
    phases = [("broadcast", (7,)), ("average", (gradients,)), ("collectives", ())]
    group = Ranks(submission, helper, tmp_path, count, phases, backend="nccl")
    expected = helper.Network(7 + count - 1).state_dict()
    for told in group.of("broadcast"):
        assert_equal(tensors(told, expected), dict(expected), "broadcast_parameters 之後的模型")
    for told in group.of("average"):
        assert_close(tensors(told, mean), mean, rtol=1e-5, atol=1e-6, what="average_gradients 之後的梯度")
    check(max(group.of("collectives")) <= 4, "collective 的次數太多", max(group.of("collectives")))
