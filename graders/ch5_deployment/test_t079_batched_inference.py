"""079 · 大批量推理：評分"""

import copy

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_tensor,
    check,
    fail,
    nn,
    raises,
    tensor_bytes,
    torch,
    unchanged,
)


class StreamBroken(Exception):
    """What an iterable of the grader raises."""


@pytest.fixture
def network(rng, device):
    """(B, 5) -> (B, 3)，含 dropout 與 batch norm，在 train 模式；calls 記下每次呼叫的 (筆數, grad mode)。"""

    class Network(nn.Module):
        calls = []  # the class's, so that a copy of the model writes there too

        def __init__(self):
            super().__init__()
            layers = nn.Linear(5, 12), nn.BatchNorm1d(12), nn.GELU(), nn.Dropout(0.5), nn.Linear(12, 3)
            self.layers, self.before, self.error_at = nn.Sequential(*layers), None, None

        def forward(self, x):
            self.calls.append((len(x), torch.is_grad_enabled()))
            if self.before:
                self.before()
            if self.error_at == len(self.calls):
                raise ArithmeticError("模型壞了")
            return self.layers(x)

    return rng.fill_(Network()).to(device)


def at_once(model, data):
    """What eval mode gives for all the data in one call, in float64."""
    oracle = copy.deepcopy(model).double().eval()
    with torch.no_grad():
        return oracle(data.double())


def given(data, kind):
    """The data as a tensor, a list of samples, or a generator of them."""
    return {"tensor": data, "list": list(data), "generator": (sample for sample in data)}[kind]


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["tensor", "generator"])
@pytest.mark.parametrize("size, batch_size", [(23, 5), (12, 4), (7, 50), (1, 3)])
def test_values(submission, rng, network, kind, size, batch_size):
    """與一次算完全部資料相同，順序不變"""
    data = rng.normal((size, 5))
    expected = at_once(network, data)
    result = submission.batch_inference(network, given(data, kind), batch_size)
    assert_close(result, expected, what=f"{size} 筆、batch_size={batch_size} 的輸出")


@pytest.mark.numeric
def test_list(submission, rng, network):
    """data 也可以是 list"""
    data = rng.normal((9, 5))
    expected = at_once(network, data)
    assert_close(
        submission.batch_inference(network, given(data, "list"), 4), expected, what="9 筆、batch_size=4 的輸出"
    )


@pytest.mark.shape
@pytest.mark.parametrize("kind", ["tensor", "generator"])
def test_shape_and_dtype(submission, rng, device, kind):
    """輸出的其餘各維與 dtype 由模型決定"""

    class Ranks(nn.Module):
        def forward(self, x):
            return x.argsort(dim=-1)

    data = rng.normal((11, 2, 4))
    expected = data.argsort(dim=-1)
    result = submission.batch_inference(Ranks().to(device), given(data, kind), 3)
    assert_shape(result, (11, 2, 4), what="輸出")
    assert_dtype(result, "int64", what="輸出")
    assert_equal(result, expected, what="輸出")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["tensor", "generator"])
def test_tokens(submission, rng, device, kind):
    """整數的樣本照原來的 dtype 交給模型"""
    model, tokens = rng.fill_(nn.Embedding(7, 3)).to(device), rng.integers(0, 7, (9, 4))
    expected = model.weight.detach()[tokens]
    assert_close(submission.batch_inference(model, given(tokens, kind), 4), expected, what="embedding 的輸出")


@pytest.mark.shape
def test_empty_tensor(submission, rng, network):
    """空的張量也經過模型，其餘各維不變"""
    assert_shape(submission.batch_inference(network, rng.normal((0, 5)), 4), (0, 3), what="(0, 5) 的輸出")


@pytest.mark.shape
@pytest.mark.parametrize("kind", ["list", "generator"])
def test_empty_iterable(submission, network, kind):
    """空的 iterable 傳回 torch.empty(0)"""
    result = submission.batch_inference(network, given([], kind), 4)
    assert_shape(result, (0,), what=f"空的 {kind} 的輸出")


@pytest.mark.gradient
@pytest.mark.parametrize("kind", ["tensor", "generator"])
def test_no_graph(submission, rng, network, kind):
    """模型執行時 grad mode 是關的，結果不需要梯度"""
    result = submission.batch_inference(network, given(rng.normal((9, 5)), kind), 4)
    assert_tensor(result, what="輸出")
    built = [grad_mode for _, grad_mode in network.calls]
    evidence = f"requires_grad {result.requires_grad}, grad mode {built}"
    check(not any(built), "模型執行時 grad mode 是開的：每一批都建了計算圖", evidence)
    check(not result.requires_grad, "輸出的 requires_grad 是 True：後面接著計算圖", evidence)


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["tensor", "generator"])
def test_batch_sizes(submission, rng, network, kind):
    """每次給模型 batch_size 筆，最後一批是剩下的"""
    submission.batch_inference(network, given(rng.normal((23, 5)), kind), 5)
    sizes = [size for size, _ in network.calls if size]
    assert_equal(sizes, [5, 5, 5, 5, 3], what="23 筆、batch_size=5，每次給模型的筆數")


def memory_model(rng, device):
    """(B, 64) -> (B, 64), its data, and the bytes of all outputs; one of the 64 batches takes 0.14 of them."""
    layers = nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 64)
    return rng.fill_(nn.Sequential(*layers), 0.1).to(device).eval(), rng.normal((4096, 64))


def judge_peak(peak, outputs):
    found = round(peak / outputs, 2)
    check(found <= 1.5, f"同時存在的張量最多是輸出的 {found:.2f} 倍，上限是 1.5 倍", found)


@pytest.fixture
def quiet_profiler(monkeypatch):
    """The profiler's library tells on stderr where no GPU is; not to the learner."""
    monkeypatch.setenv("KINETO_LOG_LEVEL", "99")


@pytest.mark.cpu
@pytest.mark.behaviour
@pytest.mark.usefixtures("quiet_profiler")
def test_memory(submission, rng, device):
    """同時存在的張量不超過輸出的 1.5 倍"""
    model, data = memory_model(rng, device)
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        result = submission.batch_inference(model, data, 64)
    assert_shape(result, (4096, 64), what="輸出")
    events = [event for event in profile.kineto_results.events() if event.name() == "[memory]"]
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        peak = max(peak, live)
    judge_peak(peak, tensor_bytes(result))


@pytest.mark.cuda
@pytest.mark.behaviour
def test_memory_on_cuda(submission, rng, device):
    """同時存在的張量不超過輸出的 1.5 倍"""
    model, data = memory_model(rng, device)
    model(data[:64])  # what cuBLAS keeps for itself is allocated once
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = submission.batch_inference(model, data, 64)
    torch.cuda.synchronize()
    assert_shape(result, (4096, 64), what="輸出")
    judge_peak(torch.cuda.max_memory_allocated() - before, tensor_bytes(result))


@pytest.mark.behaviour
def test_lazy(submission, rng, network):
    """iterable 最多先讀一批"""
    samples, read, seen = rng.normal((30, 5)), [0], []

    def stream():
        for sample in samples:
            read[0] += 1
            yield sample

    network.before = lambda: seen.append(read[0])
    submission.batch_inference(network, stream(), 4)
    for call, count in enumerate(seen):
        if count > 4 * (call + 2):
            fail(f"batch_size=4，第 {call + 1} 次呼叫模型之前已經讀了 {count} 筆，最多應為 {4 * (call + 2)} 筆", seen)


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["tensor", "generator"])
@pytest.mark.parametrize("mode", ["train", "partly", "eval"])
def test_unchanged(submission, rng, network, kind, mode):
    """模式還原，參數、buffer 與 data 不變"""
    network.train(mode != "eval")
    if mode == "partly":  # a frozen batch norm
        network.layers[1].eval()
    data = rng.normal((9, 5))
    with unchanged(network, data):
        submission.batch_inference(network, given(data, kind), 4)


@pytest.mark.behaviour
@pytest.mark.parametrize("source", ["model", "model-on-tensor", "iterable"])
def test_mode_after_error(submission, rng, network, source):
    """拋出例外時模式也還原，例外照樣傳出去"""
    network.layers[1].eval()
    data = rng.normal((9, 5))
    network.error_at = None if source == "iterable" else 2

    def stream():
        for number, sample in enumerate(data):
            if source == "iterable" and number == 6:
                raise StreamBroken("讀不到第 6 筆")
            yield sample

    with unchanged(network, data), raises(StreamBroken if source == "iterable" else ArithmeticError):
        submission.batch_inference(network, data if source == "model-on-tensor" else stream(), 4)
