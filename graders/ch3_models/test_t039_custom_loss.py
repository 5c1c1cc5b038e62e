"""039 · 自定義的損失函數：評分"""

import copy

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradients,
    assert_shape,
    assert_type,
    nn,
    raises,
    torch,
    unchanged,
)


def mse_mae(predictions, targets, weight):
    """題目的式子，float64。"""
    e = predictions.double() - targets.double()
    return (e**2 + weight * e.abs()).sum() / e.numel()


def pinball(predictions, targets):
    """對調兩個引數就不同的損失。"""
    e = targets - predictions
    return torch.maximum(0.8 * e, -0.2 * e).mean() + (e**2).mean()


def trajectory(model, loss_fn, x, y, lr, steps):
    """照 θ ← θ − lr · ∂loss/∂θ 走 steps 步：(每步之前的損失, 最後的 state_dict)。"""
    losses, learning = [], [p for p in model.parameters() if p.requires_grad]
    for _ in range(steps):
        loss = loss_fn(model(x), y)
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, learning)
        with torch.no_grad():
            for parameter, gradient in zip(learning, gradients, strict=True):
                parameter -= lr * gradient
    return losses, model.state_dict()


@pytest.fixture
def problem(rng, device):
    """一個小模型與一批資料，float64：|e| 的梯度會變號，float32 的捨入誤差可能讓軌跡分岔。"""
    torch_model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(device, torch.float64)
    return rng.fill_(torch_model), rng.normal((7, 3), dtype="float64"), rng.normal((7, 2), dtype="float64")


def assert_fits(submission, model, loss_fn, truth, x, y, lr, steps):
    """fit 的損失與參數，和 oracle 用 truth（另一個損失）走出來的一樣。"""
    losses, state = trajectory(copy.deepcopy(model), truth, x, y, lr, steps)
    with unchanged(x, y):
        got = submission.fit(model, loss_fn, x, y, lr=lr, steps=steps)
    assert_type(got, list, "fit 的結果")
    expected = {"每次更新之前的損失": losses, "參數": dict(state)}
    assert_close({"每次更新之前的損失": got, "參數": dict(model.state_dict())}, expected, what="fit 的結果")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_shape(submission, rng, dtype):
    """損失是純量，dtype 與輸入相同"""
    loss = submission.MseMaeLoss(0.5)(rng.normal((4, 3), dtype=dtype), rng.normal((4, 3), dtype=dtype))
    assert_shape(loss, (), "損失")
    assert_dtype(loss, dtype, "損失")


@pytest.mark.numeric
@pytest.mark.parametrize("weight", [None, 0.0, 0.3, 4.0], ids=["default", "0", "0.3", "4"])
def test_definition(submission, rng, weight):
    """mean(e²) + w · mean(|e|)"""
    loss_fn = submission.MseMaeLoss() if weight is None else submission.MseMaeLoss(weight)
    for shape in [(), (7,), (4, 3), (2, 3, 5)]:
        predictions, targets = 2 * rng.strided((*shape, 1))[..., 0], rng.normal(shape) + 1
        expected = mse_mae(predictions, targets, 1.0 if weight is None else weight)
        with unchanged(predictions, targets):
            assert_close(loss_fn(predictions, targets), expected, what=f"{shape} 的損失")
    # √(e² + eps) 在別處看不出來；e 都是 0 時，式子的每一步都沒有捨入誤差。
    loss = loss_fn(targets, targets.clone())
    assert_close(loss, torch.zeros_like(loss), rtol=0, atol=0, what="predictions 等於 targets 時的損失")


@pytest.mark.gradient
def test_gradient(submission, rng):
    """對 predictions 與 targets 的梯度"""
    # |e| 至少 0.1：數值微分的兩端在轉折的同一邊。
    predictions, sign = rng.normal((4, 3)), 2 * rng.bernoulli(0.5, (4, 3)) - 1
    targets = predictions - sign * rng.uniform((4, 3), 0.1, 2.0)
    assert_gradients(submission.MseMaeLoss(0.3), predictions, targets)


@pytest.mark.gradient
def test_gradient_at_zero(submission, rng):
    """e = 0 的元素梯度是 0"""
    targets = rng.normal((5, 3))
    e = rng.uniform((5, 3), 0.5, 2.0)
    e[::2] = 0
    predictions = (targets + e).requires_grad_()
    e = (predictions.detach() - targets).double()
    submission.MseMaeLoss(0.7)(predictions, targets).backward()
    assert_close(predictions.grad, (2 * e + 0.7 * e.sign()) / e.numel(), what="predictions 的梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "shapes", [((17, 1), (17,)), ((17,), (1,)), ((17, 3), ()), ((2, 17), (17, 2)), ((2, 17, 3), (17, 3))], ids=str
)
def test_different_shapes(submission, rng, shapes):
    """形狀不同時拋出 ValueError，能 broadcast 也一樣"""
    mentions = [", ".join(map(str, shape)) for shape in shapes]
    with raises(ValueError, *mentions):
        submission.MseMaeLoss()(*(rng.normal(shape) for shape in shapes))


@pytest.mark.numeric
@pytest.mark.parametrize("steps", [1, 6])
def test_fit(submission, problem, steps):
    """fit 的損失與參數，和照式子更新的相同"""
    model, x, y = problem
    loss_fn = submission.MseMaeLoss(0.5)
    assert_fits(submission, model, loss_fn, lambda p, t: mse_mae(p, t, 0.5), x, y, lr=0.07, steps=steps)


@pytest.mark.numeric
def test_fit_float32(submission, problem):
    """float32 的模型也相同"""
    # 只用平滑的平方誤差：六步之後參數仍在預設的容許誤差內。
    model, x, y = problem
    model, x, y = model.float(), x.float(), y.float()
    losses, state = trajectory(copy.deepcopy(model).double(), nn.MSELoss(), x.double(), y.double(), 0.05, 6)
    got = submission.fit(model, nn.MSELoss(), x, y, lr=0.05, steps=6)
    assert_close(torch.tensor(got), torch.tensor(losses), what="損失")
    assert_close(dict(model.state_dict()), dict(state), what="參數")


@pytest.mark.behaviour
def test_fit_uses_loss_fn(submission, problem):
    """fit 用的是所給的 loss_fn，引數依序是 predictions、targets"""
    model, x, y = problem
    assert_fits(submission, model, pinball, pinball, x, y, lr=0.05, steps=4)


@pytest.mark.behaviour
def test_stale_gradients(submission, problem, rng):
    """參數上殘留的 grad 不會混進來"""
    model, x, y = problem
    for parameter in model.parameters():
        parameter.grad = rng.normal(parameter.shape, dtype="float64")
    assert_fits(submission, model, nn.MSELoss(), nn.MSELoss(), x, y, lr=0.05, steps=3)


@pytest.mark.behaviour
def test_frozen_parameters(submission, problem):
    """凍結的參數不動"""
    model, x, y = problem
    model[0].requires_grad_(False)
    assert_fits(submission, model, nn.MSELoss(), nn.MSELoss(), x, y, lr=0.05, steps=3)


@pytest.mark.behaviour
def test_no_steps(submission, problem):
    """steps = 0 時回傳空的 list，模型不動"""
    model, x, y = problem
    with unchanged(model):
        assert_equal(submission.fit(model, nn.MSELoss(), x, y, lr=0.05, steps=0), [], what="fit 的結果")


@pytest.mark.behaviour
@pytest.mark.parametrize("width", [2, 1], ids=["(7, 2) and (7, 1)", "(7, 1) and (7,)"])
def test_fit_with_different_shapes(submission, problem, device, width):
    """模型的輸出與 y 形狀不同時，fit 拋出 ValueError"""
    model, x, y = problem
    model[2] = nn.Linear(4, width).to(device, torch.float64)
    with raises(ValueError, f"7, {width}"):
        submission.fit(model, submission.MseMaeLoss(), x, y[:, :1] if width == 2 else y[:, 0], lr=0.05, steps=2)
