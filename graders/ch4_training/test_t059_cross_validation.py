"""059 · K 折交叉驗證：評分"""

import math

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_frequencies,
    assert_shape,
    assert_type,
    check,
    fail,
    forbid,
    nn,
    raises,
    same_random_state,
    same_seed,
    torch,
    unchanged,
)

pytestmark = forbid("sklearn")

SIZES = pytest.mark.parametrize("n, k", [(10, 4), (12, 3), (7, 7)])


def partition(n, k):
    """scikit-learn 的 KFold 的切法：[(訓練, 驗證)]，前 n % k 份各多一個。"""
    folds, start = [], 0
    for index in range(k):
        stop = start + n // k + (index < n % k)
        folds.append(([*range(start), *range(stop, n)], list(range(start, stop))))
        start = stop
    return folds


def lists(folds):
    return [(train.tolist(), validation.tolist()) for train, validation in folds]


@pytest.fixture
def data(rng):
    """(x, y)：各欄的平均與尺度差很多，也有一欄是常數；最後一欄的尺度很小，但不是 0。"""
    x = rng.normal((23, 5)) * torch.tensor([1.0, 30.0, 0.05, 0.0, 3e-5], device=rng.device)
    x = x + torch.tensor([0.0, -70.0, 4.0, 2.5, 0.0], device=rng.device)
    y = 5.0 + x[:, :1] + 0.05 * x[:, 1:2] + rng.normal((23, 1))
    return x, y


class Models:
    """make_model：每次呼叫給一個新的線性模型，權重每次不同；eval() 時輸出多乘 1.5，看得出在哪個模式。"""

    def __init__(self, rng, features, k):
        self.device, self.made = rng.device, 0
        self.starts = [(rng.normal((1, features)), rng.normal((1,))) for _ in range(k)]

    def __call__(self):
        class Linear(nn.Module):
            def __init__(self, weight, bias):
                super().__init__()
                self.weight, self.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())

            def forward(self, x):
                return nn.functional.linear(x, self.weight, self.bias) * (1.0 if self.training else 1.5)

        self.made += 1
        return Linear(*self.starts[(self.made - 1) % len(self.starts)])


def standardised(x, train):
    """以訓練部分的平均與標準差標準化的 x（float64）。"""
    x = x.double()
    centre = x[train].sum(0) / len(train)
    spread = ((x[train] - centre).square().sum(0) / len(train)).sqrt()
    spread[x[train].max(0).values == x[train].min(0).values] = 1.0
    return (x - centre) / spread


def expected_losses(models, folds, x, y, epochs, lr):
    """手算的梯度下降（float64），各折驗證的 MSE。"""
    losses, y = [], y.double()
    for (train, validation), (weight, bias) in zip(folds, models.starts, strict=True):
        scaled, weight, bias = standardised(x, train), weight.double(), bias.double()
        for _ in range(epochs):
            error = scaled[train] @ weight.T + bias - y[train]
            weight = weight - lr * 2 * error.T @ scaled[train] / len(train)
            bias = bias - lr * 2 * error.sum(0) / len(train)
        error = 1.5 * (scaled[validation] @ weight.T + bias) - y[validation]
        losses.append(float(error.square().mean()))
    return losses


@pytest.fixture
def assert_losses(submission, rng):
    """assert_losses(x, y, ...)：各折的 MSE 與推算的相同；折由作答自己的 kfold_indices 決定。"""

    def run(x, y, *, k, epochs=6, lr=0.2, outlier=0.0):
        seed = rng.integer(1, 1000)
        folds = lists(submission.kfold_indices(len(x), k, shuffle=True, seed=seed))
        wrong = [sorted(train + validation) != list(range(len(x))) for train, validation in folds]
        check(not any(wrong), "kfold_indices 的折不是全部樣本的分割", folds)
        models = Models(rng, x.shape[1], k)
        expected = expected_losses(models, folds, x, y, epochs, lr)
        with unchanged(x, y):
            found = submission.cross_validate(models, x, y, k=k, epochs=epochs, lr=lr, seed=seed)
        what = f"k={k}、epochs={epochs}、lr={lr} 時，各折的 MSE"
        if outlier:  # 碰巧權重接近 0 時，預測值是 outlier 乘上捨入：絕對誤差要隨它放大，所以比方根
            assert_type(found, list, what)
            found, expected = ([math.sqrt(loss) for loss in losses] for losses in (found, expected))
            what += " 的平方根"
        # 誤差小的折，MSE 是兩個相近的數相減再平方；小尺度的那一欄放大了平均的捨入。
        assert_close(found, expected, rtol=1e-4, atol=1e-3 + 1e-5 * abs(outlier), what=what)
        check(models.made == k, f"make_model() 應呼叫 {k} 次，呼叫了 {models.made} 次", [found, models.made])

    return run


@pytest.mark.shape
@pytest.mark.parametrize("shuffle", [False, True], ids=["in-order", "shuffled"])
def test_folds_type(submission, shuffle):
    """kfold_indices 傳回 k 對 int64 索引"""
    folds = submission.kfold_indices(11, 4, shuffle=shuffle)
    assert_type(folds, list)
    assert_equal(len(folds), 4, what="折數")
    for fold, size in zip(folds, (3, 3, 3, 2), strict=True):
        assert_type(fold, tuple, what="每一項")
        assert_equal(len(fold), 2, what="每一項的長度")
        for name, indices, length in zip(("訓練的索引", "驗證的索引"), fold, (11 - size, size), strict=True):
            assert_shape(indices, (length,), what=name)
            assert_dtype(indices, "int64", what=name)


@pytest.mark.shape
def test_losses_type(submission, rng, data):
    """cross_validate 傳回 k 個 float"""
    losses = submission.cross_validate(Models(rng, 5, 3), *data, k=3, epochs=1, lr=0.1)
    assert_type(losses, list)
    assert_equal(len(losses), 3, what="長度")
    for loss in losses:
        assert_type(loss, float, what="每一項")


@pytest.mark.numeric
@SIZES
def test_in_order(submission, n, k):
    """不打亂時與 KFold 的切法相同"""
    folds = lists(submission.kfold_indices(n, k))
    for index, (found, expected) in enumerate(zip(folds, partition(n, k), strict=False), 1):
        for name, a, e in zip(("訓練", "驗證"), found, expected, strict=True):
            if a != e:
                fail(f"n={n}、k={k} 時，第 {index} 折{name}的索引應為 {e}，得到 {a}", folds)
    assert_equal(len(folds), k, what="折數")


@pytest.mark.behaviour
@SIZES
def test_shuffled(submission, rng, n, k):
    """打亂後仍是一個分割，由小到大，各份大小不變"""
    folds = lists(submission.kfold_indices(n, k, shuffle=True, seed=rng.seed()))
    expected = [len(validation) for _, validation in partition(n, k)]
    sizes = [len(validation) for _, validation in folds]
    check(sizes == expected, f"n={n}、k={k} 時，驗證部分的大小應依序是 {expected}，得到 {sizes}", sizes)
    together = sorted(index for _, validation in folds for index in validation)
    check(together == list(range(n)), f"各折驗證的索引合起來應是 0 到 {n - 1} 各一次，得到 {together}", "partition")
    for train, validation in folds:
        rest = [index for index in range(n) if index not in validation]
        check(sorted(train) == rest, f"驗證 {validation} 時，訓練的應是 {rest}，得到 {train}", "rest")
        check(train == rest and validation == sorted(validation), "索引沒有由小到大", "order")


@pytest.mark.numeric
def test_every_partition(submission):
    """打亂時每種切法機會相同"""
    # 100 個 seed：Sattolo 的洗法（每個位置一定換掉）有 99.9% 會被抓到。不再多：以 fork_rng 包住 torch.manual_seed 的
    # 寫法也算對，而它在 pytest 裡一次要 3 毫秒，機器忙的時候再慢十倍。
    counts = dict.fromkeys(((a, b) for a in range(4) for b in range(4) if a != b), 0)
    for seed in range(100):
        folds = submission.kfold_indices(4, 3, shuffle=True, seed=seed)
        alone = tuple(index for _, validation in folds[1:] for index in validation.tolist())
        if alone not in counts:
            fail(f"n=4、k=3 時，第二、三折各驗證一個樣本，得到的索引是 {list(alone)}", "size")
        counts[alone] += 1
    assert_frequencies(list(counts.values()), what="n=4、k=3、seed 0 到 99，第二、三折驗證的是哪兩個")


@pytest.mark.behaviour
def test_seed(submission, rng):
    """由 seed 決定，不動全域亂數"""
    seed = rng.integer(1, 10**6)
    first = lists(submission.kfold_indices(40, 3, shuffle=True, seed=seed))
    torch.manual_seed(rng.seed())
    with same_random_state():  # 另一個 seed：剛才設過的全域種子，再設一次就看不出來
        other = lists(submission.kfold_indices(40, 3, shuffle=True, seed=seed + 1))
    again = lists(submission.kfold_indices(40, 3, shuffle=True, seed=seed))
    check(again == first, "同一個 seed，兩次的切法不同", "not reproducible")
    check(other != first, f"seed={seed} 與 seed={seed + 1} 的切法相同", "seed ignored")
    default = lists(submission.kfold_indices(40, 3, shuffle=True))
    zero = lists(submission.kfold_indices(40, 3, shuffle=True, seed=0))
    check(default == zero, "seed 的預設值應是 0", "default seed")


@pytest.mark.numeric
@pytest.mark.parametrize("k, epochs, lr", [(4, 6, 0.2), (2, 3, 0.05), (23, 2, 0.1)])
def test_losses(assert_losses, data, k, epochs, lr):
    """各折的 MSE 等於逐步推算的"""
    assert_losses(*data, k=k, epochs=epochs, lr=lr)


@pytest.mark.behaviour
def test_no_training(assert_losses, data):
    """epochs = 0：剛建立的模型的 MSE"""
    assert_losses(*data, k=3, epochs=0)


@pytest.mark.behaviour
@pytest.mark.parametrize("value", [1e3, -1e5])
def test_outlier(assert_losses, data, value):
    """驗證部分的極端值不影響標準化與訓練"""
    x, y = data
    x[7, 0] = value  # 輪到它驗證的那一折，預測值跟著極端
    assert_losses(x, y, k=5, outlier=value)


@pytest.mark.behaviour
def test_constant_column(assert_losses, data):
    """訓練部分的標準差是 0 的欄除以 1"""
    x, y = data
    x[:, 2] = 0.0
    x[4, 2] = 3.0  # 只有這一個不是 0：輪到它驗證的那一折，訓練部分的這一欄是常數
    assert_losses(x, y, k=4)


@pytest.mark.behaviour
def test_default_seed(submission, rng, data):
    """cross_validate 的 seed 預設為 0"""
    x, y = data
    folds = lists(submission.kfold_indices(len(x), 4, shuffle=True, seed=0))
    models = Models(rng, x.shape[1], 4)
    expected = expected_losses(models, folds, x, y, 2, 0.1)
    found = submission.cross_validate(models, x, y, k=4, epochs=2, lr=0.1)
    assert_close(found, expected, rtol=1e-4, atol=1e-3, what="各折的 MSE")


@pytest.mark.behaviour
def test_global_seed(submission, rng, data):
    """cross_validate 不重設全域亂數的種子"""
    with same_seed(rng):
        submission.cross_validate(Models(rng, 5, 3), *data, k=3, epochs=2, lr=0.1, seed=rng.integer(1, 1000))


@pytest.mark.behaviour
@pytest.mark.parametrize("n, k", [(9, 1), (9, 0), (5, 6)])
def test_bad_k(submission, rng, n, k):
    """k < 2 或 k > n：ValueError"""
    with raises(ValueError, k):
        submission.kfold_indices(n, k)
    with raises(ValueError, k):
        submission.cross_validate(Models(rng, 2, 1), rng.normal((n, 2)), rng.normal((n, 1)), k=k, epochs=1, lr=0.1)
