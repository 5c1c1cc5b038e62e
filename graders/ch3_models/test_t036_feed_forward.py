"""036 · 前饋網路與手算的梯度：評分"""

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_finite,
    assert_same_module,
    assert_shape,
    check,
    fail,
    forbid,
    nn,
    torch,
    unchanged,
)

pytestmark = forbid("torch.autograd.grad", "torch.autograd.backward", "Tensor.backward", "torch.func")

NAMES = ("loss", "dw1", "db1", "dw2", "db2")


def random_weights(rng, d, h, c, dtype="float32"):
    shapes = {"fc1.weight": (h, d), "fc1.bias": (h,), "fc2.weight": (c, h), "fc2.bias": (c,)}
    return {name: rng.normal(shape, dtype=dtype) for name, shape in shapes.items()}


def expected_gradients(x, labels, *weights):
    """Loss and gradients of autograd, in float64."""
    leaves = [weight.detach().double().requires_grad_() for weight in weights]
    w1, b1, w2, b2 = leaves
    loss = F.cross_entropy(F.linear(F.linear(x.double(), w1, b1).relu(), w2, b2), labels)
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


def flat(result):
    """(loss, (dw1, db1, dw2, db2)) as a list of five."""
    check(isinstance(result, tuple | list) and len(result) == 2, "應傳回 (loss, 四個梯度)", str(type(result)))
    loss, gradients = result
    if not isinstance(gradients, tuple | list) or len(gradients) != 4:
        fail("應傳回 (loss, (dw1, db1, dw2, db2))：第二項是四個梯度的 tuple", str(type(gradients)))
    return [loss, *gradients]


def assert_gradients_equal(result, expected):
    found = flat(result)
    for name, value, wanted in zip(NAMES, found, expected, strict=True):
        assert_shape(value, wanted.shape, what=name)
    assert_close(dict(zip(NAMES, found, strict=True)), dict(zip(NAMES, expected, strict=True)), what="手算的")


@pytest.fixture
def problem(rng):
    """problem(n, d, h, c)：隨機的 (x, labels, w1, b1, w2, b2)，float64；labels 裡沒有最後一類，類別數要看 w2。"""

    def make(n, d, h, c):
        weights = random_weights(rng, d, h, c, "float64").values()
        return rng.normal((n, d), dtype="float64"), rng.integers(0, c - 1, (n,)), *weights

    return make


@pytest.mark.shape
def test_parameters(submission):
    """state_dict 的鍵與形狀"""
    state = {name: tuple(value.shape) for name, value in submission.FeedForward(3, 5, 4).state_dict().items()}
    expected = {"fc1.weight": (5, 3), "fc1.bias": (5,), "fc2.weight": (4, 5), "fc2.bias": (4,)}
    assert_equal(dict(sorted(state.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_logits(submission, rng, device, mode):
    """FeedForward 的 logits"""
    weights, x = random_weights(rng, 3, 7, 4), rng.normal((9, 3))
    hidden = (x.double() @ weights["fc1.weight"].double().T + weights["fc1.bias"].double()).clamp(min=0)
    expected = hidden @ weights["fc2.weight"].double().T + weights["fc2.bias"].double()
    model = submission.FeedForward(3, 7, 4).to(device)
    model.load_state_dict(weights)
    with unchanged(x):
        assert_close(model.train(mode == "train")(x), expected, what="logits")


@pytest.mark.gradient
def test_gradient(submission, rng, device):
    """FeedForward 的輸入與每個參數的梯度"""
    oracle = nn.Module()
    oracle.fc1, oracle.fc2 = nn.Linear(3, 7), nn.Linear(7, 4)
    oracle.forward = lambda x: oracle.fc2(oracle.fc1(x).relu())
    oracle.to(device)
    model = submission.FeedForward(3, 7, 4).to(device, torch.float64)
    assert_same_module(model, oracle, rng.normal((9, 3), dtype="float64"), weights=random_weights(rng, 3, 7, 4))


@pytest.mark.numeric
@pytest.mark.parametrize("n, d, h, c", [(6, 3, 7, 4), (5, 4, 3, 6), (1, 2, 5, 3)])
def test_manual_gradients(submission, problem, n, d, h, c):
    """loss 與四個梯度等於 autograd 的"""
    inputs = problem(n, d, h, c)
    expected = expected_gradients(*inputs)
    with unchanged(*inputs):
        assert_gradients_equal(submission.manual_gradients(*inputs), expected)


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype(submission, problem, dtype):
    """loss 與四個梯度的形狀、dtype"""
    x, labels, *weights = problem(4, 3, 6, 5)
    kind = getattr(torch, dtype)
    found = flat(submission.manual_gradients(x.to(kind), labels, *(weight.to(kind) for weight in weights)))
    for name, value, shape in zip(NAMES, found, [(), *(weight.shape for weight in weights)], strict=True):
        assert_shape(value, shape, what=name)
        assert_dtype(value, dtype, what=name)


@pytest.mark.numeric
def test_kink(submission, rng):
    """隱藏值恰好是 0：ReLU 的導數取 0"""
    # 整數的輸入與權重，每一步都沒有捨入誤差；前四個隱藏單元的輸入恰好是 0。
    x = rng.integers(-3, 4, (5, 3)).double()
    w1, w2 = rng.integers(-2, 3, (6, 3)).double(), rng.normal((4, 6), dtype="float64")
    b1 = -(w1 @ x[0])
    b1[4:] += torch.tensor([1.0, -1.0], dtype=torch.float64, device=b1.device)
    inputs = x, rng.integers(0, 4, (5,)), w1, b1, w2, rng.normal((4,), dtype="float64")
    expected = expected_gradients(*inputs)
    assert_gradients_equal(submission.manual_gradients(*inputs), expected)


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_logits(submission, rng, tensor, dtype):
    """logits 大到 ±1000 時仍正確"""
    # h 恰好等於 x；各列最大的 logit 依序是 +1000、−1000、0，標籤有對有錯。
    noise = rng.uniform((4, 3), 0.5, 2, dtype=dtype)
    x = tensor([[10.0, 0, 0], [0, 10.0, 0], [0, 0, 10.0], [10.0, 0, 0]], dtype=dtype)
    w2 = tensor([[100.0, -100, 0], [-100, -102, 0], [0, -101, 0], [99.9, -103, 0]], dtype=dtype) + noise / 100
    w1, b1, b2 = torch.eye(3, dtype=x.dtype, device=x.device), torch.zeros_like(x[0]), torch.zeros_like(w2[:, 0])
    inputs = x, tensor([0, 0, 3, 1], dtype="int64"), w1, b1, w2, b2
    expected = expected_gradients(*inputs)
    result = flat(submission.manual_gradients(*inputs))
    for name, value in zip(NAMES, result, strict=True):
        assert_finite(value, what=name)
    # float32 在 1000 的間距是 6e-5，loss 與機率因此有 1e-4 的誤差。
    atol = 1e-3 if dtype == "float32" else None
    wanted = dict(zip(NAMES, expected, strict=True))
    assert_close(dict(zip(NAMES, result, strict=True)), wanted, atol=atol, what="logits 很大時，手算的")


@pytest.mark.behaviour
@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_without_autograd(submission, problem, mode):
    """在 no_grad、inference_mode 之下也能用"""
    with getattr(torch, mode)():
        inputs = [value.clone() for value in problem(5, 3, 6, 4)]
    with torch.inference_mode(False), torch.enable_grad():
        expected = expected_gradients(*(value.clone() for value in inputs))
    with getattr(torch, mode)():
        result = submission.manual_gradients(*inputs)
    assert_gradients_equal(result, expected)


@pytest.mark.behaviour
def test_parameters_are_left_alone(submission, problem, rng):
    """權重是 Parameter 時：結果正確，不動它們的 grad"""
    x, labels, *weights = problem(5, 3, 6, 4)
    expected = expected_gradients(x, labels, *weights)
    weights = [nn.Parameter(weight) for weight in weights]
    for weight in weights[::2]:
        weight.grad = rng.normal(weight.shape, dtype="float64")
    with unchanged(x, labels, *weights):
        result = submission.manual_gradients(x, labels, *weights)
    assert_gradients_equal(result, expected)
