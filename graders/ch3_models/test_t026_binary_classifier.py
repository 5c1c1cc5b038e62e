"""026 · 二分類的全連接網路：評分"""

import csv

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_same_module,
    assert_shape,
    assert_type,
    check,
    fixture,
    nn,
    torch,
    unchanged,
)

SGD = {"kind": "SGD", "lr": 0.2, "momentum": 0.9}
ADAM = {"kind": "Adam", "lr": 0.05, "eps": 0.1}  # eps 大：梯度接近 0 時，更新不會放大捨入誤差


def random_weights(rng, inputs, hidden):
    """Small enough that no probability comes near 0 or 1, where float32 loses the logarithm's digits."""
    shapes = {"fc1.weight": (hidden, inputs), "fc1.bias": (hidden,), "fc2.weight": (1, hidden), "fc2.bias": (1,)}
    return {name: 0.5 * rng.normal(shape) for name, shape in shapes.items()}


def probability(weights, x):
    hidden = (x @ weights["fc1.weight"].T + weights["fc1.bias"]).clamp(min=0)
    return 1 / (1 + torch.exp(-(hidden @ weights["fc2.weight"].T + weights["fc2.bias"])))


def optimizer_of(parameters, kind, **settings):
    return getattr(torch.optim, kind)(parameters, **settings)


def trained(weights, batches, settings):
    """The loss of each step and the weights after it, by the formulas, in float64; None where that is too delicate.

    A hidden value next to 0 may fall on the other side of ReLU in float32, and its gradient with it.
    """
    weights = {name: value.double().requires_grad_() for name, value in weights.items()}
    optimizer = optimizer_of(weights.values(), **settings)
    losses, states = [], []
    for x, y in batches:
        p, y = probability(weights, x.double()).squeeze(1), y.double().reshape(-1)
        if (x.double() @ weights["fc1.weight"].T + weights["fc1.bias"]).abs().min() < 1e-4:
            return None
        loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
        for weight, gradient in zip(weights.values(), torch.autograd.grad(loss, list(weights.values())), strict=True):
            weight.grad = gradient
        optimizer.step()
        losses.append(loss.item())
        states.append({name: value.detach().clone() for name, value in weights.items()})
    return losses, states


@pytest.fixture
def session(submission, rng, device):
    """session(sizes, settings)：隨機權重的模型、它的 optimizer、各步的 batch，與手算的損失與權重。"""

    def make(sizes, settings, column=False, dtype="int64", bias=0.0):
        truth = None
        while truth is None:
            weights, batches = random_weights(rng, 4, 6), []
            weights["fc2.bias"] += bias
            for n in sizes:
                y = rng.permutation(n).remainder(3).clamp(max=1).to(getattr(torch, dtype))  # 兩類都有，個數不同
                batches.append((rng.normal((n, 4)), y.reshape(n, 1) if column else y))
            truth = trained(weights, batches, settings)
        model = submission.BinaryClassifier(4, 6).to(device)
        model.load_state_dict(weights)
        return model, optimizer_of(model.parameters(), **settings), batches, *truth

    return make


@pytest.mark.shape
def test_parameters(submission):
    """state_dict 的鍵與形狀"""
    state = {name: tuple(value.shape) for name, value in submission.BinaryClassifier(3, 5).state_dict().items()}
    expected = {"fc1.weight": (5, 3), "fc1.bias": (5,), "fc2.weight": (1, 5), "fc2.bias": (1,)}
    assert_equal(dict(sorted(state.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """輸出的形狀與 dtype"""
    model = submission.BinaryClassifier(3, 5).to(device, getattr(torch, dtype))
    out = model(rng.normal((4, 3), dtype=dtype))
    assert_shape(out, (4, 1))
    assert_dtype(out, dtype)


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_output(submission, rng, device, mode):
    """輸出是機率，符合公式"""
    model, weights = submission.BinaryClassifier(4, 7).to(device), random_weights(rng, 4, 7)
    model.load_state_dict(weights)
    x = 2 * rng.normal((9, 4))
    expected = probability({name: value.double() for name, value in weights.items()}, x.double())
    with unchanged(x):
        assert_close(model.train(mode == "train")(x), expected)


@pytest.mark.gradient
def test_gradient(submission, rng, device):
    """輸入與每個參數的梯度"""
    oracle = nn.Module()
    oracle.fc1, oracle.fc2 = nn.Linear(4, 7), nn.Linear(7, 1)
    oracle.forward = lambda x: oracle.fc2(oracle.fc1(x).clamp(min=0)).sigmoid()
    oracle.to(device)
    model = submission.BinaryClassifier(4, 7).to(device, torch.float64)
    # 六倍：隱藏層也有大的值，截在 6 的 ReLU6 就不同了。
    assert_same_module(model, oracle, 6 * rng.normal((9, 4), dtype="float64"), weights=random_weights(rng, 4, 7))


@pytest.mark.numeric
@pytest.mark.parametrize(
    "column, dtype, settings",
    [(False, "int64", SGD), (True, "bool", SGD), (False, "float64", ADAM), (True, "float32", ADAM)],
    ids=["N-int64-SGD", "N1-bool-SGD", "N-float64-Adam", "N1-float32-Adam"],
)
def test_train_step(submission, session, column, dtype, settings):
    """連續四步的損失與權重"""
    model, optimizer, batches, losses, states = session((70, 5, 37, 3), settings, column, dtype)
    model.train()
    for step, (x, y) in enumerate(batches):
        with unchanged(x, y):
            loss = submission.train_step(model, optimizer, x, y)
        assert_type(loss, float, what="回傳值")
        check(model.training, "呼叫之後，模型由 train 模式變成了 eval 模式", "eval")
        # float32 的四步，參考解的誤差不到 2e-6（損失，相對）與 3e-7（權重）。
        assert_close(loss, losses[step], rtol=2e-5, atol=0, what=f"第 {step + 1} 步回傳的損失")
        assert_close(dict(model.state_dict()), states[step], rtol=1e-5, atol=1e-5, what=f"第 {step + 1} 步之後的權重")


@pytest.mark.numeric
def test_small_probability(submission, session):
    """機率接近 0 時的損失與更新"""
    # p 約 3e-4（y = 1 時的損失約 8）：截在 1e-2、或 log 裡加 1e-4，都差百分之一以上。
    # 梯度的範數多在 1 以上，被裁剪也看得見。
    model, optimizer, batches, (expected,), (weights,) = session((8,), SGD, bias=-8.0)
    loss = submission.train_step(model, optimizer, *batches[0])
    assert_close(loss, expected, rtol=1e-4, atol=0, what="p 約 3e-4 時的損失")
    assert_close(dict(model.state_dict()), weights, rtol=1e-5, atol=1e-5, what="p 約 3e-4 時，一步之後的權重")


@pytest.mark.behaviour
def test_old_gradients(submission, session, rng):
    """呼叫前殘留的梯度不影響結果"""
    model, optimizer, batches, _, (expected,) = session((8,), SGD)
    for parameter in model.parameters():
        parameter.grad = rng.normal(parameter.shape)
    submission.train_step(model, optimizer, *batches[0])
    assert_close(dict(model.state_dict()), expected, rtol=1e-5, atol=1e-5, what="參數上原有梯度時，一步之後的權重")


@pytest.fixture
def irises(device):
    """setosa 與 versicolor 的四個特徵（標準化）與 0/1 標籤。"""
    with fixture("iris.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["species"] in ("setosa", "versicolor")]
    names = [name for name in rows[0] if name != "species"]
    x = torch.tensor([[float(row[name]) for name in names] for row in rows], device=device)
    y = torch.tensor([row["species"] == "versicolor" for row in rows], device=device)
    return (x - x.mean(0)) / x.std(0), y


@pytest.mark.behaviour
def test_learns(submission, irises, device):
    """學得會：分開 setosa 與 versicolor"""
    # 600 個種子（預設與 Kaiming 初始化各半）都答對 100 朵，損失的對數平均 −7、標準差 0.3、最大的損失 0.0023；
    # 答錯 6 朵的損失至少 0.02，在十個標準差之外。
    x, y = irises
    model = submission.BinaryClassifier(4, 16).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        submission.train_step(model, optimizer, x, y)
    with torch.no_grad():
        p = model.eval()(x).squeeze(1)
    right = int(((p > 0.5) == y).sum())
    loss = float(F.binary_cross_entropy(p, y.float()))
    check(right >= 95, f"訓練 200 步後，100 朵只答對 {right} 朵（損失 {loss:.3g}）", loss)
