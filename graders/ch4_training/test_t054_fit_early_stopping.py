"""054 · 訓練循環與早停：評分"""

import math

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_type, check, nn, same_seed, torch

NAN, INF = math.nan, math.inf


def loader(inputs, targets, batch_size):
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(inputs, targets), batch_size=batch_size)


@pytest.fixture
def regression(rng, device):
    """一個線性模型、沒有打亂的兩個 loader，與手算 SGD（momentum 0.5）三個 epoch 應得的兩種損失（float64）。"""
    x, y = rng.normal((10, 3), dtype="float64"), rng.normal((10, 2), dtype="float64")
    x_val, y_val = rng.normal((7, 3), dtype="float64"), rng.normal((7, 2), dtype="float64")
    y[8:] += 20  # 最後的小 batch 損失特別大：平均各 batch 的損失會差很多
    y_val[5:] += 20
    model = rng.fill_(nn.Linear(3, 2, dtype=torch.float64, device=device))
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    train_loss, val_loss = [], []
    for _ in range(3):
        total = 0.0
        for rows in (slice(0, 4), slice(4, 8), slice(8, 10)):
            error = x[rows] @ weight.T + bias - y[rows]
            total += float(error.square().sum())
            gradients = [2 * error.T @ x[rows] / error.numel(), 2 * error.sum(0) / error.numel()]
            velocity = [0.5 * v + g for v, g in zip(velocity, gradients, strict=True)]
            weight, bias = weight - 0.1 * velocity[0], bias - 0.1 * velocity[1]
        train_loss.append(total / y.numel())
        val_loss.append(float((x_val @ weight.T + bias - y_val).square().mean()))

    def fit(submission):
        sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
        loaders = loader(x, y, 4), loader(x_val, y_val, 5)
        return submission.fit(model, *loaders, nn.MSELoss(), sgd, max_epochs=3, patience=9)

    return fit, train_loss, val_loss


@pytest.fixture
def scripted(submission, rng, device):
    """scripted(values, patience)：驗證損失依序是 values（乘上隨機倍率）的一次訓練。

    每個 epoch 訓練一步，weight 減 1、buffer epochs 加 1；回傳 (history, 模型, 開始的 weight, 應有的 val_loss)。
    """

    class Scripted(nn.Module):
        def __init__(self, start, losses):
            super().__init__()
            self.weight = nn.Parameter(torch.tensor(start))
            self.register_buffer("epochs", torch.tensor(0))
            self.losses = losses

        def forward(self, inputs):
            if self.training:
                self.epochs += 1
                return self.weight * inputs
            return 0 * self.weight * inputs + self.losses[min(int(self.epochs), len(self.losses)) - 1]

    def run(values, patience):
        factor = float(rng.uniform((), 0.6, 0.9))
        losses, start = [factor * value for value in values], rng.integer(50, 99) + 0.25
        model = Scripted(start, losses).to(device)
        ones = torch.ones(3, 1, device=device)
        sgd = torch.optim.SGD(model.parameters(), lr=1.0)
        loaders = loader(ones, ones, 3), loader(ones, ones, 2)
        history = submission.fit(
            model, *loaders, lambda outputs, targets: outputs.mean(), sgd, max_epochs=len(losses), patience=patience
        )
        return history, model, start, losses

    return run


@pytest.fixture
def watch(submission, rng, device):
    """watch()：訓練三個 epoch，回傳每次 forward 的 (是否訓練資料, training, 是否建計算圖)，與 history 的兩種損失。"""
    seen = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(rng.uniform((1,)))

        def forward(self, inputs):
            for_training = bool((inputs > 0).all())
            seen.append((for_training, self.training, torch.is_grad_enabled()))
            return self.weight * inputs * (1 if self.training == for_training else 3)

    def run():
        model = Watched().to(device)
        train, val = rng.uniform((5, 1), 1, 2), rng.uniform((3, 1), -2, -1)
        loaders = loader(train, 2 * train, 3), loader(val, 2 * val, 2)
        sgd = torch.optim.SGD(model.parameters(), lr=0.01)
        history = submission.fit(model, *loaders, nn.MSELoss(), sgd, max_epochs=3, patience=9)
        return seen, [*history.train_loss, *history.val_loss]

    return run


@pytest.mark.shape
def test_history(submission, regression):
    """History 的型別與各欄位的長度"""
    history = regression[0](submission)
    assert_type(history, submission.History)
    for name in ("train_loss", "val_loss"):
        losses = getattr(history, name)
        assert_type(losses, list, what=name)
        assert_equal(len(losses), 3, what=f"{name} 的長度")
        for loss in losses:
            assert_type(loss, float, what=f"{name} 的每一項")
    assert_type(history.best_epoch, int, what="best_epoch")
    assert_type(history.stopped_early, bool, what="stopped_early")


@pytest.mark.numeric
def test_train_loss(submission, regression):
    """train_loss 是訓練當下每個樣本的平均"""
    fit, train_loss, _ = regression
    assert_close(fit(submission).train_loss, train_loss, what="train_loss")


@pytest.mark.numeric
def test_val_loss(submission, regression):
    """val_loss 是訓練後每個樣本的平均"""
    fit, _, val_loss = regression
    assert_close(fit(submission).val_loss, val_loss, what="val_loss")


@pytest.mark.behaviour
def test_training_mode(watch):
    """每個 epoch 都在 train() 模式下訓練"""
    seen, losses = watch()
    modes = [training for for_training, training, _ in seen if for_training]
    check(modes[:2] == [True] * 2, "第一個 epoch 訓練時模型在 eval() 模式", [losses, seen])
    check(all(modes), "驗證之後的 epoch，訓練時模型還在 eval() 模式", [losses, seen])


@pytest.mark.behaviour
def test_validation_mode(watch):
    """驗證時是 eval() 模式"""
    seen, losses = watch()
    modes = [training for for_training, training, _ in seen if not for_training]
    check(
        modes and not any(modes), "驗證時模型在 train() 模式：dropout 與 BatchNorm 仍以訓練的方式運作", [losses, seen]
    )


@pytest.mark.behaviour
def test_validation_without_graph(watch):
    """驗證時不建計算圖"""
    seen, losses = watch()
    graphs = [graph for for_training, _, graph in seen if not for_training]
    check(graphs and not any(graphs), "驗證時 torch.is_grad_enabled() 是 True：白白建了計算圖", [losses, seen])


@pytest.mark.behaviour
def test_seed(submission, regression, rng):
    """不重設全域亂數的種子"""
    with same_seed(rng):
        regression[0](submission)


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "values, patience, stop",
    [([5, 4, 3, 7, 6, 8, 1, 9], 3, 6), ([5, 6, 4, 5, 3, 4, 5, 1], 2, 7), ([5, 3, 4, 1], 1, 3)],
    ids=["patience-3", "patience-2-interrupted", "patience-1"],
)
def test_patience(scripted, values, patience, stop):
    """連續 patience 個 epoch 沒有改善就停"""
    history, _, _, losses = scripted(values, patience)
    assert_close(history.val_loss, losses[:stop], what="停止前的 val_loss")
    assert_equal(len(history.train_loss), stop, what="train_loss 的長度")


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "values, stopped",
    [([5, 4, 6, 7, 1], True), ([5, 4, 6, 7], True), ([5, 4, 6], False)],
    ids=["before-max_epochs", "at-max_epochs", "not"],
)
def test_stopped_early(scripted, values, stopped):
    """stopped_early 說的是 patience 是否用完"""
    history, _, _, _ = scripted(values, 2)
    found = history.stopped_early
    check(found is stopped, f"stopped_early 應為 {stopped}，得到 {found}", [history.val_loss, str(found)])


@pytest.mark.behaviour
def test_best_epoch(scripted):
    """best_epoch 是 val_loss 最低的 epoch，從 1 數起"""
    history, _, _, _ = scripted([5, 4, 2, 3, 6], 9)
    check(
        history.best_epoch == 3, f"best_epoch 應為 3，得到 {history.best_epoch}", [history.val_loss, history.best_epoch]
    )


@pytest.mark.behaviour
def test_ties(scripted):
    """val_loss 相同不算改善"""
    history, _, _, losses = scripted([4, 4, 4, 4, 4], 2)
    assert_close(history.val_loss, losses[:3], what="停止前的 val_loss")
    check(
        history.best_epoch == 1, f"best_epoch 應為 1，得到 {history.best_epoch}", [history.val_loss, history.best_epoch]
    )


@pytest.mark.behaviour
def test_small_improvement(scripted):
    """再小的改善也算"""
    history, _, _, _ = scripted([1 - 1e-6 * epoch for epoch in range(5)], 2)
    found = [len(history.val_loss), history.best_epoch]
    told = f"val_loss 每次只降百萬分之一，應跑完 5 個 epoch，best_epoch 是 5；跑了 {found[0]} 個，得到 {found[1]}"
    check(found == [5, 5], told, [history.val_loss, found])


@pytest.mark.behaviour
def test_best_weights(scripted):
    """參數還原到 best_epoch"""
    _, model, start, _ = scripted([5, 2, 3, 4, 6, 7], 3)
    assert_close(model.weight.detach(), torch.tensor(start - 2, device=model.weight.device), what="還原後的參數")


@pytest.mark.behaviour
def test_best_buffers(scripted):
    """buffer 還原到 best_epoch"""
    history, model, _, _ = scripted([5, 2, 3, 4, 6, 7], 3)
    found = int(model.epochs)
    check(found == 2, f"buffer 應是第 2 個 epoch 的值 2，得到 {found}", [history.val_loss, found])


@pytest.mark.behaviour
@pytest.mark.parametrize("values, best", [([NAN, 4, 3, 5], 3), ([4, 3, NAN, 5], 2)], ids=["first", "later"])
def test_nan_is_never_best(scripted, values, best):
    """NaN 不會是最好的"""
    history, model, start, losses = scripted(values, 3)
    assert_close(history.val_loss, losses, what="val_loss")
    check(
        history.best_epoch == best, f"best_epoch 應為 {best}，得到 {history.best_epoch}", [losses, history.best_epoch]
    )
    assert_close(model.weight.detach(), torch.tensor(start - best, device=model.weight.device), what="還原後的參數")


@pytest.mark.behaviour
@pytest.mark.parametrize("value", [NAN, INF], ids=["nan", "inf"])
def test_no_finite_loss(scripted, value):
    """val_loss 從來不是有限值：best_epoch 為 0，還原成呼叫前的模型"""
    history, model, start, _ = scripted([value] * 5, 3)
    found = [len(history.val_loss), history.best_epoch, model.weight.item(), int(model.epochs)]
    assert_equal(found[0], 3, what="跑過的 epoch 數")
    check(found[1] == 0, f"best_epoch 應為 0，得到 {found[1]}", found)
    check(found[2:] == [start, 0], f"參數與 buffer 應是呼叫前的 {[start, 0]}，得到 {found[2:]}", found)
