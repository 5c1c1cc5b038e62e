"""055 · 手動調整學習率：評分"""

import copy

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    assert_type,
    forbid,
    nn,
    same_seed,
    torch,
    unchanged,
)

pytestmark = forbid("torch.optim.lr_scheduler")

EPOCHS = 7
N, BATCH = 10, 4


def step_lr(base_lr, step_size, gamma, epochs):
    """StepLR 逐 epoch 的學習率：每 step_size 個 epoch 乘一次 gamma。"""
    rates = [base_lr]
    for epoch in range(1, epochs):
        rates.append(rates[-1] * (gamma if epoch % step_size == 0 else 1))
    return rates


class Rotating:
    """DataLoader 的 sampler：每走一遍，順序就往後轉三個，像打亂一樣各個 epoch 不同。"""

    def __init__(self):
        self.epoch = -1

    def __len__(self):
        return N

    def __iter__(self):
        self.epoch += 1
        return iter(self.order(self.epoch))

    @staticmethod
    def order(epoch):
        return [(row + 3 * epoch) % N for row in range(N)]


@pytest.fixture
def regression(submission, rng, device):
    """regression(epochs, ...)：同一個起點的一次訓練，傳回 (學習率, 權重)；與 regression.path(...)：手算的 SGD。"""
    x, y = rng.normal((N, 3), dtype="float64"), rng.normal((N, 2), dtype="float64")
    start = rng.fill_(nn.Linear(3, 2, dtype=torch.float64, device=device))

    def run(epochs, **settings):
        model, dataset = copy.deepcopy(start), torch.utils.data.TensorDataset(x, y)
        loader = torch.utils.data.DataLoader(dataset, batch_size=BATCH, sampler=Rotating())
        with unchanged(x, y):
            rates = submission.train(model, loader, nn.MSELoss(), epochs=epochs, **settings)
        return rates, {name: value.detach() for name, value in model.named_parameters()}

    def path(rates, momentum):
        """每個 epoch 之後的權重。"""
        values = [start.weight.detach().clone(), start.bias.detach().clone()]
        velocity = [torch.zeros_like(value) for value in values]
        result = []
        for epoch, rate in enumerate(rates):
            order = Rotating.order(epoch)
            for rows in (order[first : first + BATCH] for first in range(0, N, BATCH)):
                error = x[rows] @ values[0].T + values[1] - y[rows]
                gradients = [2 * error.T @ x[rows] / error.numel(), 2 * error.sum(0) / error.numel()]
                velocity = [momentum * v + g for v, g in zip(velocity, gradients, strict=True)]
                values = [value - rate * v for value, v in zip(values, velocity, strict=True)]
            result.append(dict(zip(("weight", "bias"), values, strict=True)))
        return result

    run.path = path
    return run


@pytest.mark.shape
def test_rates_type(regression):
    """train 傳回 float 的 list，每個 epoch 一個"""
    rates, _ = regression(3, base_lr=0.1, momentum=0.9, step_size=2, gamma=0.5)
    assert_type(rates, list)
    assert_equal(len(rates), 3, what="長度")
    for rate in rates:
        assert_type(rate, float, what="每一項")


@pytest.mark.numeric
@pytest.mark.parametrize("step_size, gamma", [(1, 0.7), (3, 0.2), (4, 1.0)])
def test_step_decay(submission, rng, step_size, gamma):
    """step_decay 的階梯"""
    base_lr = float(rng.uniform((), 0.2, 0.9))
    rates = [submission.step_decay(base_lr, epoch, step_size, gamma) for epoch in range(13)]
    assert_close(rates, step_lr(base_lr, step_size, gamma, 13), rtol=1e-9, atol=0, what="第 0 到 12 個 epoch 的學習率")


@pytest.mark.numeric
@pytest.mark.parametrize("step_size", [2, 3])
def test_rates(regression, rng, step_size):
    """傳回的是各 epoch 訓練時的學習率"""
    base_lr = float(rng.uniform((), 0.02, 0.09))
    rates, _ = regression(EPOCHS, base_lr=base_lr, momentum=0.9, step_size=step_size, gamma=0.3)
    assert_close(rates, step_lr(base_lr, step_size, 0.3, EPOCHS), rtol=1e-9, atol=0, what="學習率")


@pytest.mark.numeric
@pytest.mark.parametrize("momentum", [0.0, 0.8])
@pytest.mark.parametrize("step_size", [2, 3])
def test_weights(regression, momentum, step_size):
    """每個 epoch 之後的權重與 SGD 加 StepLR 相同"""
    expected = regression.path(step_lr(0.1, step_size, 0.4, EPOCHS), momentum)
    settings = {"base_lr": 0.1, "momentum": momentum, "step_size": step_size, "gamma": 0.4}
    found = [regression(epochs, **settings)[1] for epochs in range(1, EPOCHS + 1)]
    assert_close(found, expected, what="各個 epoch 之後的權重")


@pytest.mark.behaviour
def test_seed(regression, rng):
    """train 不重設全域亂數的種子"""
    with same_seed(rng):
        regression(2, base_lr=0.1, momentum=0.9, step_size=1, gamma=0.5)


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_set_lr(submission, rng, kind):
    """set_lr 設了每個群組"""
    groups = [{"params": [rng.normal((2, 3), requires_grad=True)], "lr": lr} for lr in (0.5, 0.02, 0.3)]
    optimizer = getattr(torch.optim, kind)(groups)
    lr = float(rng.uniform((), 0.02, 0.09))
    submission.set_lr(optimizer, lr)
    assert_close([group["lr"] for group in optimizer.param_groups], [lr] * 3, rtol=1e-9, what="各群組的學習率")


@pytest.mark.behaviour
def test_set_lr_keeps_the_rest(submission, rng):
    """set_lr 不動其他設定與狀態"""
    parameters = [rng.normal((2, 3), requires_grad=True), rng.normal((4,), requires_grad=True)]
    groups = [{"params": [p], "weight_decay": decay} for p, decay in zip(parameters, (0.1, 0.2), strict=True)]
    optimizer = torch.optim.SGD(groups, lr=0.3, momentum=0.7)
    for parameter in parameters:
        parameter.grad = rng.normal(parameter.shape)
    optimizer.step()
    before = copy.deepcopy(optimizer.state_dict())
    with unchanged(*parameters):
        submission.set_lr(optimizer, 0.05)
    after = optimizer.state_dict()
    for group in [*before["param_groups"], *after["param_groups"]]:
        del group["lr"]
    assert_equal(after["param_groups"], before["param_groups"], what="群組的其他設定")
    assert_equal(after["state"], before["state"], what="optimizer 的狀態")
