"""064 · Checkpoint：評分

The process that goes on with the training starts before the checkpoint is written: where it is forked it knows nothing
of it but the file, and costs no second import of torch. What it runs lives in a module written when the grader runs.
"""

import contextlib
import copy
import importlib
import multiprocessing
import os
import random
import signal
import sys
import warnings
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    check,
    fail,
    fixture,
    nothing_left_running,
    np,
    raises,
    same_random_state,
    shared_rng,
    torch,
    unchanged,
)

try:
    import resource
except ImportError:  # Windows
    resource = None

HELPER = '''
import importlib, random
import numpy, torch
from torch import nn


def build(seed, device, hidden=6, layers=1, groups=2):
    """Model, optimizer and scheduler from a seed."""
    torch.manual_seed(seed)
    tail = [nn.Linear(hidden, 2), *(nn.Linear(2, 2) for _ in range(layers - 1))]
    model = nn.Sequential(nn.Linear(4, hidden), nn.BatchNorm1d(hidden), nn.Tanh(), nn.Dropout(0.4), *tail).to(device)
    parameters = list(model.parameters())
    parts = [{"params": parameters[:2]}, {"params": parameters[2:], "lr": 0.03}] if groups == 2 else parameters
    optimizer = torch.optim.SGD(parts, lr=0.05, momentum=0.9)
    return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.3)


def seed_all(seed):
    torch.manual_seed(seed), random.seed(seed), numpy.random.seed(seed % 2**32)


def train(model, optimizer, scheduler, x, y, epochs):
    """Five steps an epoch, each with numbers from every stream: the losses, and the learning rates of each epoch."""
    losses, rates = [], []
    model.train()
    for _ in range(epochs):
        rates.append([group["lr"] for group in optimizer.param_groups])
        for _ in range(5):
            rows = torch.randperm(len(x))[:6].to(x.device)
            noise, shift = 0.1 * numpy.random.standard_normal(), 0.1 * random.gauss(0, 1)
            loss = ((model(x[rows] + noise) - y[rows] - shift) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
    return losses, rates


def flat(model):
    return {name: value.tolist() for name, value in model.state_dict().items()}


def resume(answer, path, device, x, y, epochs, pipe):
    """In a process of its own: waits for the word, loads into fresh objects, goes on, and sends back what came."""
    torch.set_num_threads(1)
    module = importlib.import_module(answer)
    x, y = (torch.tensor(values, device=device) for values in (x, y))
    if not pipe.poll(90) or pipe.recv() != "go":
        return
    try:
        model, optimizer, scheduler = build(1, device)
        seed_all(2)
        epoch = module.load_checkpoint(path, model, optimizer, scheduler=scheduler, device=device)
        losses, rates = train(model, optimizer, scheduler, x, y, epochs)
        sent = {"epoch": epoch if isinstance(epoch, int) else str(epoch)}
        pipe.send({**sent, "losses": losses, "rates": rates, "weights": flat(model), "error": ""})
    except BaseException as error:
        pipe.send({"error": f"{type(error).__name__}: {error}"[:500]})
'''


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """What the other process imports, under a name that nobody can know beforehand."""
    folder = tmp_path_factory.mktemp("training")
    name = f"kata_training_{os.urandom(8).hex()}"
    (folder / f"{name}.py").write_text(HELPER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(name)
    sys.modules.pop(name, None)


def start(*arguments, target):
    """A process that runs target(*arguments): forked where that is safe, which costs a hundredth of a new one."""
    method = "fork" if sys.platform == "linux" and not torch.cuda.is_available() else "spawn"
    process = multiprocessing.get_context(method).Process(target=target, args=arguments, daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads
        process.start()
    return process


@pytest.fixture(scope="module")
def resumed(submission, helper, request, tmp_path_factory):
    """Three epochs, a checkpoint, and three more in another process; beside it, six epochs without a stop."""
    rng, device = shared_rng(request), request.config.getoption("device")
    path = str(tmp_path_factory.mktemp("resumed") / "last.pt")
    x, y, seed = rng.normal((17, 4)), rng.normal((17, 2)), rng.seed()

    def begin():
        parts = helper.build(seed, device)
        helper.seed_all(seed + 1)
        helper.train(*parts, x, y, 3)
        return parts

    parts = begin()
    losses, rates = helper.train(*parts, x, y, 3)
    truth = SimpleNamespace(losses=losses, rates=rates, weights=helper.flat(parts[0]))
    ours, theirs = multiprocessing.Pipe()
    arguments = (submission.__name__, path, device, x.tolist(), y.tolist(), 3, theirs)
    with nothing_left_running():
        process = start(*arguments, target=helper.resume)
        try:
            model, optimizer, scheduler = begin()
            submission.save_checkpoint(path, model, optimizer, epoch=2, scheduler=scheduler)
            ours.send("go")
            if not ours.poll(60):
                fail("新的行程載入再訓練三個 epoch，60 秒還沒有完成", "hang")
            try:
                found = ours.recv()
            except EOFError:
                fail("新的行程在載入時中斷了", "died")
        finally:
            process.kill()
            process.join()
            ours.close(), theirs.close()
    if found["error"].startswith("NotImplementedError: TODO"):
        raise NotImplementedError(found["error"].partition(": ")[2])
    check(not found["error"], f"在新的行程裡載入時拋出 {found['error']}", f"resume {found['error'].partition(':')[0]}")
    return SimpleNamespace(**found, truth=truth)


def trained(helper, rng, **settings):
    """Model, optimizer and scheduler on the device, after an epoch."""
    device = str(rng.device)
    parts = helper.build(rng.seed(), device, **settings)
    helper.train(*parts, rng.normal((9, 4)), rng.normal((9, 2)), 1)
    return parts


def states(*parts):
    """Copies of the parts' states."""
    return [copy.deepcopy(dict(part.state_dict())) for part in parts]


def assert_as_before(parts, before):
    for name, part, old in zip(("模型", "優化器"), parts, before, strict=False):
        assert_equal(dict(part.state_dict()), old, f"載入失敗之後，{name}的狀態")


@contextlib.contextmanager
def file_limit(size, action):
    """Files cannot grow beyond `size` bytes in the block; `action` says what the signal for it does."""
    if resource is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, action)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


class Unstorable:
    """Cannot be pickled."""

    def __reduce__(self):
        raise OSError("no space left on device")


@pytest.mark.numeric
def test_epoch(submission, helper, rng, tmp_path, device):
    """load 傳回最近一次存檔的 epoch；資料夾裡只有那個檔案"""
    model, optimizer, scheduler = trained(helper, rng)
    for epoch in (0, 7, rng.integer(8, 99)):
        submission.save_checkpoint(str(tmp_path / "last.pt"), model, optimizer, epoch=epoch, scheduler=scheduler)
        found = submission.load_checkpoint(str(tmp_path / "last.pt"), model, optimizer, device=device)
        assert_equal(found, epoch, f"以 epoch={epoch} 存檔，load_checkpoint 的傳回值")
    assert_equal(sorted(os.listdir(tmp_path)), ["last.pt"], "存檔之後資料夾裡的檔案")


@pytest.mark.numeric
def test_resumed_losses(resumed):
    """在新的行程裡接續，每一步的 loss 和沒停過一樣"""
    losses, truth = (torch.tensor(each, dtype=torch.float64) for each in (resumed.losses, resumed.truth.losses))
    assert_close(losses, truth, rtol=0, atol=0, what="接續之後每一步的 loss ")


@pytest.mark.numeric
def test_resumed_weights(resumed):
    """在新的行程裡接續，最後的參數與 buffer 和沒停過一樣"""
    for name, truth in resumed.truth.weights.items():
        assert_close(
            torch.tensor(resumed.weights[name], dtype=torch.float64),
            torch.tensor(truth, dtype=torch.float64),
            rtol=0,
            atol=0,
            what=f"接續訓練之後的 {name} ",
        )


@pytest.mark.numeric
def test_resumed_rates(resumed):
    """在新的行程裡接續，每個 epoch 的學習率和沒停過一樣"""
    rates, truth = (torch.tensor(each, dtype=torch.float64) for each in (resumed.rates, resumed.truth.rates))
    assert_close(rates, truth, rtol=0, atol=0, what="接續之後各 epoch（列）、各 param group（欄）的學習率")


@pytest.mark.numeric
@pytest.mark.parametrize("library", ["torch", "random", "numpy"])
def test_random_streams(submission, helper, rng, tmp_path, device, library):
    """載入之後，亂數接著存檔當時的往下走"""

    def draw():
        if library == "torch":
            return torch.randn(5, device=device).cpu().double() + torch.randn(5).double()
        one = random.gauss if library == "random" else np.random.normal
        return torch.tensor([one(0, 1) for _ in range(6)], dtype=torch.float64)

    model, optimizer, _ = trained(helper, rng)
    draw()  # eleven with those of the training: they are made in pairs, and the second one is kept
    submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=1)
    expected = draw()
    torch.rand(3), random.random(), np.random.random()
    submission.load_checkpoint(tmp_path / "last.pt", model, optimizer, device=device)
    assert_close(draw(), expected, rtol=0, atol=0, what=f"載入之後 {library} 接著抽出的數")


@pytest.mark.numeric
def test_model_only(submission, helper, rng, tmp_path, device):
    """只給 model：載入權重，不動亂數與模式"""
    parts = trained(helper, rng)
    expected = states(parts[0])[0]
    submission.save_checkpoint(tmp_path / "last.pt", parts[0], parts[1], epoch=3, scheduler=parts[2])
    fresh = helper.build(rng.seed(), str(device))[0]
    fresh[1].eval()
    modes = [module.training for module in fresh.modules()]
    with same_random_state():
        submission.load_checkpoint(tmp_path / "last.pt", fresh, device=device)
    assert_equal(dict(fresh.state_dict()), expected, "載入的權重")
    assert_equal([module.training for module in fresh.modules()], modes, "載入之後各層的 training")


@pytest.mark.numeric
def test_scheduler(submission, helper, rng, tmp_path, device):
    """載入之後，scheduler 的狀態和存檔時一樣"""

    def build():
        model, optimizer, _ = helper.build(rng.seed(), str(device))
        return model, optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=3)

    model, optimizer, scheduler = build()
    for value in (0.5, 0.25, 0.75, 1.0):
        scheduler.step(value)
    expected = states(scheduler)[0]
    submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=3, scheduler=scheduler)
    model, optimizer, scheduler = build()
    submission.load_checkpoint(tmp_path / "last.pt", model, optimizer, scheduler=scheduler, device=device)
    assert_equal(dict(scheduler.state_dict()), expected, "載入之後 ReduceLROnPlateau 的狀態")


@pytest.mark.behaviour
def test_save_changes_nothing(submission, helper, rng, tmp_path):
    """save 不動亂數與模型"""
    model, optimizer, scheduler = trained(helper, rng)
    before = states(model, optimizer)
    with same_random_state(), unchanged(model):
        submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=3, scheduler=scheduler)
    assert_equal(states(optimizer)[0], before[1], "存檔之後優化器的狀態")


@pytest.mark.behaviour
def test_weights_only(submission, helper, rng, tmp_path):
    """weights_only=True 打得開"""
    model, optimizer, scheduler = trained(helper, rng)
    submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=3, scheduler=scheduler)
    try:
        torch.load(tmp_path / "last.pt", map_location="cpu", weights_only=True)
    except Exception as error:
        kind = type(error).__name__
        fail(f"torch.load(path, weights_only=True) 打不開（{kind}）：裡面不只是張量與基本的型別", f"closed {kind}")


@pytest.mark.behaviour
@pytest.mark.parametrize("cause", ["state", "space"])
def test_failed_write(submission, helper, rng, tmp_path, cause):
    """寫檔失敗：例外傳出來，舊檔不變，沒有別的檔案"""
    path = tmp_path / "last.pt"
    model, optimizer, scheduler = trained(helper, rng, hidden=1000)
    submission.save_checkpoint(path, model, optimizer, epoch=1, scheduler=scheduler)
    before = path.read_bytes()
    scheduler.note = Unstorable() if cause == "state" or resource is None else None
    limit = file_limit(8192, signal.SIG_IGN) if cause == "space" else contextlib.nullcontext()
    why = "狀態裡有存不了的東西" if cause == "state" else "磁碟空間不足"
    raised = False
    with limit:
        try:
            submission.save_checkpoint(path, model, optimizer, epoch=2, scheduler=scheduler)
        except Exception:
            raised = True
    after = path.read_bytes() if path.exists() else None
    others = sorted(set(os.listdir(tmp_path)) - {"last.pt"})
    kind = "gone" if after is None else "changed" if after != before else "kept"
    evidence = f"raised {raised}, old {kind}, {len(others)} others"
    check(after == before, f"{why}，存檔失敗，舊的 checkpoint 卻{'不見' if after is None else '壞'}了", evidence)
    check(raised, f"{why}，save_checkpoint 卻沒有拋出例外", evidence)
    check(not others, f"{why}，存檔失敗，留下了 {'、'.join(others)[:100]}", evidence)


@pytest.mark.behaviour
def test_replaced(submission, helper, rng, tmp_path):
    """換上新檔，不是把內容寫進舊檔：那樣寫到一半時舊檔已經毀了"""
    path, second = tmp_path / "last.pt", tmp_path / "same file"
    model, optimizer, scheduler = trained(helper, rng)
    submission.save_checkpoint(path, model, optimizer, epoch=1, scheduler=scheduler)
    before = path.read_bytes()
    try:
        os.link(path, second)  # another name of the old file: it shows whether that file itself is written to
    except OSError:
        pytest.skip("這個檔案系統沒有 hard link")
    submission.save_checkpoint(path, model, optimizer, epoch=2, scheduler=scheduler)
    check(path.read_bytes() != before, "再存一次之後，檔案的內容沒有變", "not saved")
    check(second.read_bytes() == before, "新的內容寫進了舊檔（open(path, 'wb')、shutil.copy 都是）", "in place")


@pytest.mark.cpu
@pytest.mark.behaviour
def test_killed(submission, helper, rng, tmp_path):
    """寫到一半行程被殺：舊檔仍然完好"""
    path = tmp_path / "last.pt"
    model, optimizer, scheduler = trained(helper, rng, hidden=1000)
    submission.save_checkpoint(path, model, optimizer, epoch=1, scheduler=scheduler)
    before = path.read_bytes()

    def save():
        with file_limit(8192, signal.SIG_DFL):  # the system kills it when its file grows beyond that
            submission.save_checkpoint(path, model, optimizer, epoch=2, scheduler=scheduler)

    if resource is not None and sys.platform == "linux":
        with nothing_left_running():
            process = multiprocessing.get_context("fork").Process(target=save, daemon=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                process.start()
            process.join(20)
            check(not process.is_alive(), "20 秒還沒寫完", "hang")
    after = path.read_bytes() if path.exists() else b""
    check(after == before, "行程在寫檔途中被殺，舊的 checkpoint 也壞了", f"old file {bool(after)}")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["empty", "half", "almost", "photo", "list", "weights"])
def test_damaged(submission, helper, rng, tmp_path, device, kind):
    """空的、截斷的、不是 checkpoint 的檔案：ValueError，什麼也沒改"""
    path = tmp_path / "last.pt"
    model, optimizer, scheduler = trained(helper, rng)
    submission.save_checkpoint(path, model, optimizer, epoch=1, scheduler=scheduler)
    data = path.read_bytes()
    if kind in ("list", "weights"):
        state = trained(helper, rng)[0].state_dict()
        torch.save(list(state.values()) if kind == "list" else state, path)
    else:
        length = {"empty": 0, "half": len(data) // 2, "almost": len(data) - 3}.get(kind)
        path.write_bytes(fixture("photos/pagoda.jpg").read_bytes() if kind == "photo" else data[:length])
    before = states(model, optimizer)
    with raises(ValueError):
        submission.load_checkpoint(path, model, optimizer, scheduler=scheduler, device=device)
    assert_as_before((model, optimizer), before)


@pytest.mark.behaviour
@pytest.mark.parametrize("other", ["hidden", "layers", "fewer layers"])
def test_other_model(submission, helper, rng, tmp_path, device, other):
    """別的模型的 checkpoint：ValueError，模型與優化器保持原樣"""
    saved = {"hidden": {"hidden": 5}, "layers": {"layers": 2}, "fewer layers": {}}[other]
    model, optimizer, scheduler = trained(helper, rng, **saved)
    submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=1, scheduler=scheduler)
    own = trained(helper, rng, layers=2 if other == "fewer layers" else 1)
    before = states(*own)
    for optimizer in (None, own[1]):
        with raises(ValueError):
            submission.load_checkpoint(tmp_path / "last.pt", own[0], optimizer, device=device)
        assert_as_before(own[:2], before)


@pytest.mark.behaviour
def test_other_optimizer(submission, helper, rng, tmp_path, device):
    """別的優化器的 checkpoint（param group 不同）：ValueError，模型與優化器保持原樣"""
    model, optimizer, scheduler = trained(helper, rng, groups=1)
    submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=1, scheduler=scheduler)
    own = trained(helper, rng)
    before = states(*own)
    with raises(ValueError):
        submission.load_checkpoint(tmp_path / "last.pt", own[0], own[1], scheduler=own[2], device=device)
    assert_as_before(own[:2], before)


@pytest.mark.cpu
@pytest.mark.behaviour
def test_saved_on_a_gpu(submission, helper, rng, tmp_path, monkeypatch):
    """在 GPU 上存的檔案，在沒有 GPU 的機器上載得進來"""
    model, optimizer, scheduler = trained(helper, rng)
    with monkeypatch.context() as patch:
        # The file says of every tensor where it was: here that they all were on the first GPU.
        patch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
        submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=4, scheduler=scheduler)
    expected = states(model)[0]
    own = trained(helper, rng)
    found = submission.load_checkpoint(tmp_path / "last.pt", own[0], own[1], scheduler=own[2], device="cpu")
    assert_equal(found, 4, "傳回的 epoch")
    assert_equal(dict(own[0].state_dict()), expected, "載入的權重")


@pytest.mark.cuda
@pytest.mark.behaviour
def test_between_devices(submission, helper, rng, tmp_path):
    """CUDA 上存的載到 CPU，CPU 上存的載到 CUDA"""
    for source, target in (("cuda", "cpu"), ("cpu", "cuda")):
        model, optimizer, scheduler = helper.build(rng.seed(), source)
        helper.train(model, optimizer, scheduler, rng.normal((9, 4)).to(source), rng.normal((9, 2)).to(source), 1)
        submission.save_checkpoint(tmp_path / "last.pt", model, optimizer, epoch=4, scheduler=scheduler)
        expected = {name: value.to(target) for name, value in states(model)[0].items()}
        own = helper.build(rng.seed(), target)
        submission.load_checkpoint(tmp_path / "last.pt", own[0], own[1], scheduler=own[2], device=target)
        assert_equal(dict(own[0].state_dict()), expected, f"{source} 上存、{target} 上載入的權重")
        helper.train(*own, rng.normal((9, 4)).to(target), rng.normal((9, 2)).to(target), 1)
