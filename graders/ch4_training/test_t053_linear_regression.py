"""053 · 線性回歸：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_type,
    cast,
    check,
    fail,
    fixture,
    nn,
    np,
    torch,
    unchanged,
)

TARGETS = pytest.mark.parametrize("target", ["column", "row"])


def reshaped(y, target):
    """y (N, 1) 或 (N,)。"""
    return y if target == "column" else y.reshape(-1)


def with_ones(x):
    return torch.cat([x.double(), torch.ones_like(x[:, :1]).double()], 1)


def least_squares(x, y):
    """float64 的最小平方解 (D + 1, 1)，SVD；最後一項是 bias。"""
    solution = np.linalg.lstsq(with_ones(x).cpu().numpy(), y.double().reshape(-1, 1).cpu().numpy(), rcond=None)[0]
    return torch.from_numpy(solution).to(x.device)


def descend(weight, bias, x, y, lr, epochs):
    """手算的梯度下降（float64）：每一步更新前的損失，與各步之後的權重（第 0 項是開始時的）。"""
    x, y, weight, bias = x.double(), y.double(), weight.double(), bias.double()
    losses, path = [], [{"weight": weight, "bias": bias}]
    for _ in range(epochs):
        error = x @ weight.T + bias - y
        losses.append(float(error.square().mean()))
        weight = weight - lr * 2 * error.T @ x / len(x)
        bias = bias - lr * 2 * error.sum(0) / len(x)
        path.append({"weight": weight, "bias": bias})
    return losses, path


@pytest.fixture
def data(rng):
    """(x, y)：尺度不一的特徵，y 有截距也有雜訊。"""
    x = rng.normal((17, 3)) * torch.tensor([1.0, 0.5, 2.0], device=rng.device) + 0.3
    return x, x.sum(1, keepdim=True) + 2.5 + rng.normal((17, 1))


@pytest.fixture
def start(rng, device):
    """start(D)：設好全域亂數，傳回從這裡建立的 nn.Linear(D, 1) 的權重；之後的呼叫用的是同樣的亂數。"""
    seed = rng.seed()

    def make(size):
        torch.manual_seed(seed)
        fresh = nn.Linear(size, 1).to(device)
        torch.manual_seed(seed)
        return fresh.weight.detach(), fresh.bias.detach()

    return make


def state(model):
    """模型的權重，先看它真的是有 bias 的 nn.Linear。"""
    assert_type(model, nn.Linear, what="模型")
    check(model.bias is not None, "模型沒有 bias（bias=False）：截距學不到", "no bias")
    return {"weight": model.weight.detach(), "bias": model.bias.detach()}


@pytest.mark.shape
def test_fit_result(submission, data):
    """fit_linear 傳回 (nn.Linear, 損失的 list)"""
    result = submission.fit_linear(*data, epochs=4)
    assert_type(result, tuple)
    assert_equal(len(result), 2, what="傳回值的項數")
    model, losses = result
    shapes = {name: tuple(value.shape) for name, value in state(model).items()}
    assert_equal(shapes, {"weight": (1, 3), "bias": (1,)}, what="權重的形狀")
    assert_type(losses, list, what="losses")
    assert_equal(len(losses), 4, what="losses 的長度")
    for loss in losses:
        assert_type(loss, float, what="losses 的每一項")


@pytest.mark.shape
@TARGETS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_closed_form_shape(submission, data, dtype, target):
    """closed_form 的形狀與 dtype"""
    x, y = cast(data, dtype)
    weight, bias = submission.closed_form(x, reshaped(y, target))
    for name, value, shape in (("weight", weight, (1, 3)), ("bias", bias, (1,))):
        assert_shape(value, shape, what=name)
        assert_dtype(value, dtype, what=name)


@pytest.mark.numeric
def test_start(submission, start, data):
    """epochs = 0：全域亂數下剛建立的 nn.Linear(D, 1)"""
    weight, bias = start(3)
    model, losses = submission.fit_linear(*data, epochs=0)
    assert_close(state(model), {"weight": weight, "bias": bias}, rtol=0, atol=0, what="剛建立的模型")
    assert_equal(losses, [], what="losses")


@pytest.mark.numeric
@TARGETS
def test_losses(submission, start, data, target):
    """losses 是每一步更新之前的 MSE"""
    x, y = data
    expected, _ = descend(*start(3), x, y, 0.05, 7)
    y = reshaped(y, target)
    with unchanged(x, y):
        _, losses = submission.fit_linear(x, y, lr=0.05, epochs=7)
    assert_close(losses, expected, what="losses")


@pytest.mark.numeric
@TARGETS
def test_weights(submission, start, data, target):
    """每一步之後的權重"""
    x, y = data
    _, path = descend(*start(3), x, y, 0.05, 5)
    for epochs in range(1, 6):
        start(3)
        model, _ = submission.fit_linear(x, reshaped(y, target), lr=0.05, epochs=epochs)
        assert_close(state(model), path[epochs], what=f"epochs={epochs} 之後的權重")


@pytest.mark.numeric
def test_defaults(submission, start, data):
    """預設 lr = 0.01、epochs = 100"""
    x, y = data
    expected, _ = descend(*start(3), x, y, 0.01, 100)
    _, losses = submission.fit_linear(x, y)
    assert_close(losses, expected, rtol=1e-4, what="losses")


@pytest.mark.numeric
def test_converges(submission, rng):
    """步數夠多時收斂到最小平方解"""
    # 互相垂直、平均 0.4、尺度 0.7 到 1.4 的特徵：MSE 的曲率在 0.6 與 5 之間，lr = 0.2、300 步之後的誤差小於 1e-10。
    columns = torch.linalg.qr(torch.cat([torch.ones_like(rng.normal((41, 1))), rng.normal((41, 3))], 1))[0][:, 1:]
    x = 41**0.5 * columns * torch.tensor([1.0, 1.4, 0.7], device=rng.device) + 0.4
    y = x[:, :1] - 2 * x[:, 1:2] + 3.5 + rng.normal((41, 1))
    solution = least_squares(x, y)
    model, _ = submission.fit_linear(x, y.reshape(-1), lr=0.2, epochs=300)
    expected = {"weight": solution[:-1].T, "bias": solution[-1]}
    assert_close(state(model), expected, rtol=1e-4, atol=1e-4, what="訓練 300 步後的權重")


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_diabetes(submission, rng, dtype):
    """closed_form 在糖尿病資料上的預測"""
    table = torch.from_numpy(np.loadtxt(fixture("diabetes.csv"), delimiter=",", skiprows=1))
    table = cast(table.to(rng.device)[rng.permutation(442)[:400]], dtype)
    x, y = table[:, :10], table[:, 10]
    expected = with_ones(x) @ least_squares(x, y)
    with unchanged(x, y):
        weight, bias = submission.closed_form(x, y)
    # [x, 1] 的條件數約 7,000：lstsq 的各種 driver 與 pinv 在 float32 下誤差至多 0.005，預測值在 30 與 300 之間。
    predicted = x.double() @ weight.double().reshape(-1, 1) + bias.double()
    assert_close(predicted, expected, rtol=0, atol=0.05 if dtype == "float32" else 1e-6, what="預測值")


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_repeated_column(submission, rng, dtype):
    """closed_form 遇到相同的特徵"""
    # lstsq、pinv 的誤差：float32 至多 2e-6，float64 至多 1e-14；(XᵀX)⁻¹ 不是拋出例外，就是差了 0.01 以上。
    for size in (13, 19, 31):
        x = rng.normal((size, 5), dtype=dtype)
        x[:, 3], x[:, 4] = x[:, 1], x[:, 0]
        y = x.sum(1, keepdim=True) + 1.5 + rng.normal((size, 1), dtype=dtype)
        expected = with_ones(x) @ least_squares(x, y)
        try:
            weight, bias = submission.closed_form(x, y)
        except torch.linalg.LinAlgError as error:
            fail(f"x 有兩個特徵相同時拋出 LinAlgError：{error}", "singular")
        predicted = x.double() @ weight.double().reshape(-1, 1) + bias.double()
        error = float((predicted - expected).abs().nan_to_num(torch.inf).max())
        message = f"x 有兩個特徵相同時，預測值與最小平方解差了 {error:.3g}"
        check(error < (1e-4 if dtype == "float32" else 1e-7), message, "singular")
