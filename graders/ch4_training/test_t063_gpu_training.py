"""063 · 在 GPU 上訓練：評分"""

import copy
import time
from collections import Counter

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_type, check, nn, raises, torch

READS = {"item", "tolist", "numpy", "__float__", "__int__", "__bool__", "__complex__", "__array__"}
READS |= {"__format__", "__repr__", "is_nonzero"}
SETTINGS = pytest.mark.parametrize(
    "samples, batch_size, epochs, lr", [(23, 5, 3, 0.2), (12, 4, 4, 0.1), (7, 20, 2, 1.0)], ids=["23-5", "12-4", "7-20"]
)


@pytest.fixture
def problem(rng):
    """problem(n)：CPU 上的一個分類器與 n 個樣本的 (x, labels)。"""

    def make(samples):
        model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(rng.normal(parameter.shape))
        return model, 2 * rng.normal((samples, 5)).cpu(), rng.integers(0, 3, (samples,)).cpu()

    return make


def orders(count, batch_size, seed):
    """以 seed 設好的 CPU generator 打亂的幾種寫法，各傳回一個 epoch 的 batch：題目的 DataLoader 在最前面。"""
    data, (first, second, third) = torch.utils.data, (torch.Generator().manual_seed(seed) for _ in range(3))
    loader = data.DataLoader(range(count), batch_size=batch_size, shuffle=True, generator=first)
    sampler = data.BatchSampler(data.RandomSampler(range(count), generator=second), batch_size, drop_last=False)
    return [lambda: loader, lambda: sampler, lambda: torch.randperm(count, generator=third).split(batch_size)]


def paths(model, x, labels, batch_size, epochs, lr, seed):
    """打亂的每一種寫法：每個 epoch 的損失，與最後的權重。"""
    return [path(model, x, labels, batches, epochs, lr) for batches in orders(len(x), batch_size, seed)]


def path(model, x, labels, batches, epochs, lr):
    """手寫的 SGD（float64）。"""
    model, x, losses = copy.deepcopy(model).double(), x.double(), []
    for _ in range(epochs):
        total = 0.0
        for rows in batches():
            loss = nn.functional.cross_entropy(model(x[rows]), labels[rows])
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= lr * gradient
            total += loss.item() * len(rows)
        losses.append(total / len(x))
    return losses, {name: value.detach() for name, value in model.named_parameters()}


def assert_one_of(found, expected, **how):
    """等於題目的順序的，或另一種寫法的。"""
    if not any(near(found, other, how["rtol"]) for other in expected[1:]):
        assert_close(found, expected[0], **how)


def near(found, expected, rtol):
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(near(found[name], expected[name], rtol) for name in expected)
    if isinstance(expected, list):
        wanted = torch.tensor(expected, dtype=torch.float64)
        number = isinstance(found, list) and all(isinstance(value, float) for value in found)
        return number and len(found) == len(expected) and near(torch.tensor(found).double(), wanted, rtol)
    return torch.allclose(found.double(), expected, rtol=rtol, atol=rtol)


def pairs(x, labels):
    return torch.utils.data.TensorDataset(x, labels)


@pytest.fixture
def rtol(device):
    return 1e-4 if device.type == "cpu" else 1e-3


@pytest.fixture
def counted():
    """一個 torch 的 mode：數有幾次把模型算出的浮點數讀回 CPU。

    從參數算出來的張量都跟著記下；讀過的、搬到 CPU 之後再讀的（還沒被就地改過），不算第二次。
    """
    from torch.overrides import TorchFunctionMode

    class Counted(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.reads, self.computed, self.read, self.held = Counter(), {}, {}, set()

        def __torch_function__(self, func, types, args=(), kwargs=None):
            flat = [part for arg in args for part in (arg if isinstance(arg, list | tuple) else [arg])]
            tensors = [part for part in flat if isinstance(part, torch.Tensor) and part.is_floating_point()]
            computed = any(part.requires_grad or id(part) in self.computed for part in tensors)
            known = bool(tensors) and all(self.read.get(id(part), (None, -1))[1] == part._version for part in tensors)
            name = getattr(func, "__name__", "")
            result = func(*args, **(kwargs or {}))
            moved = name == "cpu" or (name == "to" and names_cpu([*flat[1:], *(kwargs or {}).values()]))
            parameter = bool(tensors) and tensors[0].is_leaf and tensors[0].requires_grad
            moved = moved and not parameter and id(flat[0]) not in self.held  # nn.Module.to moves these
            reading = computed and not known and (name in READS or moved)
            self.reads[name] += bool(reading)
            if isinstance(result, torch.Tensor) and result.is_floating_point():
                if computed:
                    self.computed[id(result)] = result  # 留著，id 才不會被別的張量用去
                if parameter and name == "__get__":  # its .grad, .data
                    self.held.add(id(result))
                if known or (reading and moved):
                    self.read[id(result)] = result, result._version
            return result

    return Counted()


@pytest.fixture
def placed():
    """一個 torch 的 mode：記下每次 cross entropy 的兩個張量在哪裡。"""
    from torch.overrides import TorchFunctionMode

    class Placed(TorchFunctionMode):
        def __init__(self):
            super().__init__()
            self.devices = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            if getattr(func, "__name__", "") == "cross_entropy":
                given = [value for value in [*args, *(kwargs or {}).values()] if isinstance(value, torch.Tensor)]
                self.devices.append([value.device.type for value in given[:2]])
            return func(*args, **(kwargs or {}))

    return Placed()


def names_cpu(arguments):
    return any(isinstance(a, str | torch.device) and torch.device(a).type == "cpu" for a in arguments)


@pytest.mark.shape
def test_result(submission, problem, device):
    """傳回 epochs 個 float"""
    for epochs in (3, 0):
        model, x, labels = problem(11)
        losses = submission.train(model, pairs(x, labels), device=device, epochs=epochs, batch_size=4, lr=0.1)
        assert_type(losses, list)
        assert_equal(len(losses), epochs, what="長度")
        for loss in losses:
            assert_type(loss, float, what="每一項")


@pytest.mark.numeric
@SETTINGS
def test_losses(submission, problem, rng, device, rtol, samples, batch_size, epochs, lr):
    """每個 epoch 的損失等於推算的"""
    (model, x, labels), seed = problem(samples), rng.integer(1, 10**6)
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    expected = [losses for losses, _ in paths(model, x, labels, **settings)]
    losses = submission.train(model, pairs(x, labels), device=device, **settings)
    assert_one_of(losses, expected, rtol=rtol, what=f"{samples} 個樣本、{settings} 時，每個 epoch 的損失")


@pytest.mark.numeric
def test_weights(submission, problem, rng, device, rtol):
    """訓練的是這個 model：權重等於推算的"""
    (model, x, labels), seed = problem(17), rng.integer(1, 10**6)
    settings = {"epochs": 2, "batch_size": 6, "lr": 0.2, "seed": seed}
    expected = [weights for _, weights in paths(model, x, labels, **settings)]
    submission.train(model, pairs(x, labels), device=device, **settings)
    found = {name: value.detach().cpu() for name, value in model.named_parameters()}
    assert_one_of(found, expected, rtol=rtol, atol=rtol, what="訓練後的權重")


@pytest.mark.behaviour
def test_default_seed(submission, problem, device, rtol):
    """seed 預設為 0"""
    model, x, labels = problem(19)
    settings = {"epochs": 2, "batch_size": 4, "lr": 0.2}
    expected = [losses for losses, _ in paths(model, x, labels, seed=0, **settings)]
    losses = submission.train(model, pairs(x, labels), device=device, **settings)
    assert_one_of(losses, expected, rtol=rtol, what="每個 epoch 的損失")


@pytest.mark.behaviour
def test_any_dataset(submission, problem, rng, device, rtol):
    """任何 dataset 都可以，label 可以是 int"""
    (model, x, labels), seed = problem(13), rng.integer(1, 10**6)
    settings = {"epochs": 2, "batch_size": 5, "lr": 0.2, "seed": seed}
    expected = [losses for losses, _ in paths(model, x, labels, **settings)]

    class Plain(torch.utils.data.Dataset):
        def __len__(self):
            return len(x)

        def __getitem__(self, index):
            if not 0 <= index < len(x):
                raise IndexError(index)
            return x[index], int(labels[index])

    losses = submission.train(model, Plain(), device=device, **settings)
    assert_one_of(losses, expected, rtol=rtol, what="只有 __len__ 與 __getitem__ 的 dataset，每個 epoch 的損失")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["none", "text", "device"])
def test_device(submission, problem, rng, device, kind):
    """device 是 None、字串或 torch.device"""
    (model, x, labels), seed = problem(13), rng.integer(1, 10**6)
    settings = {"epochs": 2, "batch_size": 5, "lr": 0.2, "seed": seed}
    expected = [losses for losses, _ in paths(model, x, labels, **settings)]
    best = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    wanted = best if kind == "none" else device
    given = {"none": {}, "text": {"device": device.type}, "device": {"device": device}}[kind]
    losses = submission.train(model, pairs(x, labels), **given, **settings)
    assert_one_of(losses, expected, rtol=1e-3, what="每個 epoch 的損失")
    found = next(model.parameters()).device.type
    check(found == wanted.type, f"訓練後模型應在 {wanted.type}，在 {found}", [losses, found])


@pytest.mark.behaviour
def test_unavailable(submission, problem):
    """指名的裝置不能用：RuntimeError"""
    name = f"cuda:{torch.cuda.device_count()}" if torch.cuda.is_available() else "cuda"
    model, x, labels = problem(9)
    with raises(RuntimeError):
        submission.train(model, pairs(x, labels), device=name, epochs=1, batch_size=4, lr=0.1)


@pytest.mark.behaviour
def test_reads(submission, problem, device, counted):
    """平均每個 epoch 至多讀回一次"""
    model, x, labels = problem(30)
    with counted:
        losses = submission.train(model, pairs(x, labels), device=device, epochs=3, batch_size=4, lr=0.1, seed=5)
    reads = {name: times for name, times in counted.reads.items() if times}
    message = f"3 個 epoch、24 個 batch，把模型算出的浮點數讀回 CPU：{reads}，至多 3 次；在 GPU 上每次都要等"
    check(sum(reads.values()) <= 3, message, [losses, reads])


@pytest.mark.behaviour
def test_training_mode(submission, problem, device):
    """訓練模式的 model 訓練時仍在訓練模式"""
    (model, x, labels), seen = problem(9), []
    model.register_forward_pre_hook(lambda m, inputs: seen.append(m.training))
    submission.train(model, pairs(x, labels), device=device, epochs=2, batch_size=4, lr=0.1)
    check(seen and all(seen), "訓練時 model 被切成了 eval：dropout 與 batch norm 的行為都不同", str(seen))


@pytest.mark.behaviour
def test_global_seed(submission, problem, device):
    """不重設全域亂數的種子"""
    states = []
    for start in (1, 2):
        model, x, labels = problem(9)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(start)  # the CPU's alone: fork_rng restores no other here
            submission.train(model, pairs(x, labels), device=device, epochs=1, batch_size=4, lr=0.1, seed=7)
            states.append(torch.get_rng_state())
    same = torch.equal(*states)
    check(not same, "不論之前是什麼，訓練之後全域亂數的狀態都一樣：它被重設了（torch.manual_seed？）", "reseeded")


@pytest.mark.behaviour
def test_moved(submission, problem, placed):
    """模型與每個 batch 都搬到 device"""
    (model, x, labels), seen = problem(9), []
    model.register_forward_pre_hook(lambda m, inputs: seen.append((next(m.parameters()).device, inputs[0].device)))
    try:
        with placed:
            submission.train(model, pairs(x, labels), device="meta", epochs=1, batch_size=4, lr=0.1)
    except (RuntimeError, ValueError) as error:
        if str(error).startswith("TODO"):
            raise
    else:
        check(seen, "沒有呼叫 model", "no forward")
    # 不肯用 meta 的作答一次 forward 也沒有：看不出來，由 CUDA 的檢查去看。
    for number, (parameters, batch) in enumerate(seen, 1):
        told = f'device="meta" 時，第 {number} 次 forward 的參數在 {parameters}，batch 在 {batch}：都應搬到 meta'
        check(parameters.type == batch.type == "meta", told, f"{parameters} {batch}")
    for devices in placed.devices:
        told = f'device="meta" 時，cross entropy 的 logits 與 label 在 {devices}：都應在 meta'
        check(set(devices) == {"meta"}, told, devices)


@pytest.mark.cuda
@pytest.mark.behaviour
def test_cuda_devices(submission, problem, device):
    """CUDA：模型與 batch 都在裝置上，模型留在那裡"""
    (model, x, labels), seen = problem(14), []
    model.register_forward_pre_hook(lambda m, inputs: seen.append((next(m.parameters()).is_cuda, inputs[0].is_cuda)))
    submission.train(model, pairs(x, labels), device=device, epochs=2, batch_size=4, lr=0.1)
    check(seen and all(all(pair) for pair in seen), f"forward 時 (模型, batch) 是否在 CUDA 上：{seen}", str(seen))
    check(all(p.is_cuda for p in model.parameters()), "訓練後模型不在 CUDA 上", "left")


@pytest.mark.cuda
@pytest.mark.speed
def test_cuda_speed(submission, device):
    """CUDA：以矩陣乘法為主的模型，至少比 CPU 快 5 倍"""
    dataset = pairs(torch.randn(1024, 2048), torch.randint(0, 10, (1024,)))

    def seconds(where):
        model = nn.Sequential(nn.Linear(2048, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 10))
        times = []
        for _ in range(3):
            start = time.perf_counter()
            submission.train(model, dataset, device=where, epochs=1, batch_size=512, lr=1e-3)
            torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        return min(times)

    fast, slow = seconds(device), seconds("cpu")
    check(
        5 * fast <= slow, f"一個 epoch 在 CUDA 上 {1e3 * fast:.0f} 毫秒，CPU {1e3 * slow:.0f} 毫秒：不到 5 倍", "slow"
    )
