"""048 · 批正規化：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_same_module,
    assert_shape,
    assert_within_budget,
    check,
    forbid,
    nn,
    raises,
    torch,
    unchanged,
)

pytestmark = forbid(
    "nn.BatchNorm1d",
    "nn.BatchNorm2d",
    "nn.BatchNorm3d",
    "F.batch_norm",
    "F.instance_norm",
    "aten::native_batch_norm",
    "aten::_native_batch_norm_legit",
    "aten::_native_batch_norm_legit_functional",
    "aten::_native_batch_norm_legit_no_training",
    "aten::_batch_norm_with_update",
    "aten::_batch_norm_with_update_functional",
    "aten::_batch_norm_no_update",
    "aten::cudnn_batch_norm",
)

SHAPES = pytest.mark.parametrize("shape", [(4, 3), (1, 3, 5), (2, 3, 5, 4)], ids=["NC", "NCL", "NCHW"])


@pytest.fixture
def pair(submission, rng, device):
    """pair(shape, ...)：作答與 float64 的 nn.BatchNorm，權重與統計量相同，都不是初值。"""

    def make(shape, **settings):
        kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
        oracle = rng.fill_(kind(shape[1], **settings).to(device))
        module = submission.BatchNorm(shape[1], **settings).to(device)
        module.load_state_dict(oracle.state_dict())
        return module, oracle.double()

    return make


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """輸出的形狀與 dtype"""
    module = submission.BatchNorm(3).to(device, getattr(torch, dtype))
    out = module(rng.normal((2, 3, 5, 4), dtype=dtype))
    assert_shape(out, (2, 3, 5, 4))
    assert_dtype(out, dtype)


@pytest.mark.shape
@pytest.mark.parametrize("affine", [True, False])
def test_initial_state(submission, affine):
    """state_dict 的鍵、形狀、dtype 與初值"""
    expected = nn.BatchNorm1d(7, affine=affine).state_dict()
    state = dict(submission.BatchNorm(7, affine=affine).state_dict())
    assert_equal(sorted(state), sorted(expected), what="state_dict 的鍵")
    for name, value in expected.items():
        assert_equal(state[name], value, what=name)


@pytest.mark.numeric
@SHAPES
def test_train(pair, rng, shape):
    """訓練時的輸出"""
    module, oracle = pair(shape, eps=0.3)
    x = rng.strided(shape) if len(shape) > 2 else rng.normal(shape)
    expected = oracle(x.double())
    with unchanged(x):
        assert_close(module(x), expected)


@pytest.mark.numeric
@SHAPES
def test_eval(pair, rng, shape):
    """推論時的輸出"""
    module, oracle = pair(shape, eps=0.3)
    module.eval()
    for x in (rng.normal(shape), rng.normal((1, *shape[1:]))):
        expected = oracle.eval()(x.double())
        with unchanged(x):
            assert_close(module(x), expected)


@pytest.mark.numeric
@pytest.mark.parametrize("momentum", [0.3, 0.0, None])
def test_running_statistics(pair, rng, momentum):
    """三個 batch 之後的 running_mean、running_var、num_batches_tracked"""
    module, oracle = pair((2, 3, 2, 1), momentum=momentum)
    for n in (2, 5, 3):
        x = 3 * rng.normal((n, 3, 2, 1)) + 1
        oracle(x.double())
        module(x)
    names = ["running_mean", "running_var", "num_batches_tracked"]
    expected = {name: getattr(oracle, name) for name in names}
    assert_close({name: getattr(module, name) for name in names}, expected, what="統計量")


@pytest.mark.numeric
def test_defaults(submission, rng, device):
    """eps 與 momentum 的預設值"""
    module, oracle = submission.BatchNorm(3).to(device), nn.BatchNorm1d(3).to(device, torch.float64)
    x = 1e-3 * rng.normal((6, 3))  # 變異數 1e-6 比 eps 小：eps 左右輸出
    expected = {"輸出": oracle(x.double()), "running_mean": oracle.running_mean, "running_var": oracle.running_var}
    out = module(x)
    actual = {"輸出": out, "running_mean": module.running_mean, "running_var": module.running_var}
    assert_close(actual, expected, what="預設值")


@pytest.mark.numeric
def test_large_mean(submission, rng, device):
    """平均遠大於標準差時仍準確"""
    x = rng.normal((64, 3)) + 1e4
    expected = nn.BatchNorm1d(3).to(device, torch.float64)(x.double())
    # float32 在 1e4 附近的間距是 1e-3，平均因此有這麼大的誤差；E[x²] − E[x]² 的變異數則只能是 8 的倍數。
    assert_close(submission.BatchNorm(3).to(device)(x), expected, atol=1e-2)


@pytest.mark.gradient
@pytest.mark.parametrize("mode, affine", [("train", True), ("train", False), ("eval", True)])
def test_gradient(pair, rng, mode, affine):
    """輸入、weight、bias 的梯度"""
    shape = (4, 3, 2, 5)
    module, oracle = pair(shape, eps=0.3, affine=affine)
    assert_same_module(module.train(mode == "train"), oracle.train(mode == "train"), rng.normal(shape))


@pytest.mark.behaviour
def test_statistics_have_no_graph(submission, rng, device):
    """統計量不帶計算圖"""
    module = submission.BatchNorm(3).to(device)
    module(rng.normal((4, 3), requires_grad=True))
    for name in ("running_mean", "running_var"):
        value = getattr(module, name)
        check(not value.requires_grad, f"訓練後 {name}.requires_grad 是 True：計算圖會隨 batch 越接越長", value)


@pytest.mark.behaviour
def test_eval_keeps_statistics(pair, rng):
    """推論不改動統計量"""
    module, _ = pair((4, 3))
    module.eval()
    names = ["running_mean", "running_var", "num_batches_tracked"]
    expected = {name: getattr(module, name).clone() for name in names}
    module(rng.normal((4, 3)))
    assert_close({name: getattr(module, name) for name in names}, expected, what="推論後的統計量")


@pytest.mark.behaviour
def test_state_dict(submission, rng, device):
    """state_dict 與 nn.BatchNorm 互通"""
    trained = rng.fill_(submission.BatchNorm(3).to(device))
    trained(rng.normal((5, 3, 2, 4)))
    oracle = nn.BatchNorm2d(3).to(device)
    oracle.load_state_dict(trained.state_dict())
    loaded = submission.BatchNorm(3).to(device)
    loaded.load_state_dict(oracle.state_dict())
    x = rng.normal((2, 3, 4, 2))
    expected = oracle.double().eval()(x.double())
    assert_close(trained.eval()(x), expected, what="交出 state_dict 的一方的輸出")
    assert_close(loaded.eval()(x), expected, what="載入 state_dict 的一方的輸出")


@pytest.mark.behaviour
@pytest.mark.parametrize("shape", [(1, 5), (1, 5, 1, 1)], ids=["NC", "NCHW"])
def test_one_value_per_channel(submission, rng, device, shape):
    """訓練時每個 channel 只有一個值：ValueError"""
    module = submission.BatchNorm(5).to(device)
    with raises(ValueError, ", ".join(map(str, shape))):
        module(rng.normal(shape))


@pytest.mark.behaviour
@pytest.mark.parametrize("channels, mode", [(1, "train"), (7, "eval")])
def test_wrong_channels(submission, rng, device, channels, mode):
    """channel 數不對：ValueError"""
    module = submission.BatchNorm(3).to(device).train(mode == "train")
    with raises(ValueError, channels):
        module(rng.normal((4, channels, 2)))


@pytest.mark.speed
def test_speed(submission, reference, rng, device):
    """前向與反向的速度"""
    # 參考解 1；內建 nn.BatchNorm2d 0.5；layer_norm 1.3；var_mean 1.3 至 1.8；x.var 算兩次 2.7；
    # channel 移到最後 2.8 至 3.8。逐 channel 迴圈 6，運算約兩千個（參考解 55 個），計數就先擋下。
    # 上限是 3.8 與 6 的幾何平均。
    cotangent = rng.normal((64, 64, 16, 16))

    def step(kind):
        layer = kind(64).to(device)
        return lambda x: layer(x).backward(cotangent)

    def inputs():
        return (rng.normal((64, 64, 16, 16), requires_grad=True),)

    own, best = step(submission.BatchNorm), step(reference.BatchNorm)
    assert_within_budget(own, best, inputs, factor=5, baseline=step(nn.BatchNorm2d))
