"""028 · Swish 與 GELU：評分"""

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradients,
    assert_shape,
    assert_within_budget,
    check,
    forbid,
    nn,
    raises,
    torch,
    unchanged,
)

pytestmark = forbid("F.silu", "F.gelu", "nn.SiLU", "nn.GELU", "aten::silu", "aten::gelu")

DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
APPROXIMATE = pytest.mark.parametrize("approximate", ["none", "tanh"])


def kinds(module, device):
    """四種模組，各有名稱；beta 都是 bfloat16 也能精確表示的數。"""
    made = {
        "Swish()": module.Swish(),
        "Swish(1.5, learnable=True)": module.Swish(1.5, learnable=True),
        'GELU("none")': module.GELU("none"),
        'GELU("tanh")': module.GELU("tanh"),
    }
    return {name: layer.to(device) for name, layer in made.items()}


def swish(x, beta):
    """定義，float64。"""
    return x.double() / (1 + torch.exp(-beta * x.double()))


@pytest.mark.shape
@DTYPES
def test_shape(submission, rng, device, dtype):
    """輸出的形狀與 dtype 和輸入相同"""
    for name, layer in kinds(submission, device).items():
        # 兩個 0 維的張量相乘會提升 dtype：float32 的 beta 配 bfloat16 的純量，題目不要求。
        for shape in [(0, 3), (7,), (2, 3, 5, 4)] + [()] * (dtype != "bfloat16"):
            out = layer(rng.normal(shape, dtype=dtype))
            assert_shape(out, shape, f"{name} 的輸出")
            assert_dtype(out, dtype, f"{name} 的輸出")


@pytest.mark.numeric
@pytest.mark.parametrize("beta", [1.0, 2.5, -0.75, 0.0])
def test_swish(submission, rng, device, beta):
    """Swish 符合定義"""
    for learnable in (False, True):
        layer = submission.Swish(beta, learnable).to(device)
        for x in (3 * rng.strided((4, 3)), 3 * rng.normal((2, 3, 5), dtype="float64")):
            expected = swish(x, beta)
            with unchanged(x):
                assert_close(layer(x), expected, what=f"Swish({beta}, learnable={learnable})")


@pytest.mark.numeric
@APPROXIMATE
def test_gelu(submission, rng, device, approximate):
    """GELU 符合 approximate 所指的式子"""
    # 兩式在 |x| = 2.2 附近差 4.7e-4，容許誤差是 1e-5：固定的格點保證分得出來。float64 時連 x < −5 當成 0 也看得見。
    grid = torch.linspace(-8, 8, 65, device=device)
    layer = submission.GELU(approximate).to(device)
    for x in (grid, grid.double(), 2 * rng.strided((4, 3)), 2 * rng.normal((2, 3, 5), dtype="float64")):
        expected = F.gelu(x.double(), approximate=approximate)
        with unchanged(x):
            assert_close(layer(x), expected, what=f'GELU("{approximate}")')


@pytest.mark.numeric
def test_defaults(submission, device):
    """預設是 β = 1 與 "none\""""
    x = torch.linspace(-5, 5, 41, device=device, dtype=torch.float64)
    assert_close(submission.Swish().to(device)(x), swish(x, 1.0), what="Swish()")
    assert_close(submission.Swish(learnable=True).to(device)(x), swish(x, 1.0), what="Swish(learnable=True)")
    assert_close(submission.GELU().to(device)(x), F.gelu(x), what="GELU()")


@pytest.mark.behaviour
def test_learnable_parameter(submission):
    """learnable=True 時 beta 是 0 維的參數"""
    layer = submission.Swish(0.5, learnable=True)
    assert_equal([name for name, _ in layer.named_parameters()], ["beta"], what="參數的名稱")
    check(isinstance(layer.beta, nn.Parameter), f"beta 應為 nn.Parameter，得到 {type(layer.beta).__name__}")
    assert_equal(layer.beta.detach(), torch.tensor(0.5), what="beta 的初值")
    check(layer.beta.requires_grad, "beta.requires_grad 是 False：最佳化器更新不了它", "frozen")


@pytest.mark.behaviour
def test_fixed_beta(submission):
    """learnable=False 時沒有參數"""
    found = [name for name, _ in submission.Swish(0.5).named_parameters()]
    check(not found, f"learnable=False 時不該有參數，得到 {found}", found)


@pytest.mark.gradient
def test_swish_gradient(submission, rng, device):
    """Swish 對 x 的梯度"""
    assert_gradients(submission.Swish(-0.75).to(device), 2 * rng.normal((4, 3)))


@pytest.mark.gradient
def test_beta_gradient(submission, rng, tensor, device):
    """learnable 的 Swish 對 x 與 beta 的梯度"""
    layer = submission.Swish(1.5, learnable=True).to(device).double()
    assert_gradients(
        lambda x, beta: torch.func.functional_call(layer, {"beta": beta}, (x,)), 2 * rng.normal((4, 3)), tensor(1.25)
    )


@pytest.mark.gradient
@APPROXIMATE
def test_gelu_gradient(submission, rng, device, approximate):
    """GELU 對 x 的梯度"""
    assert_gradients(submission.GELU(approximate).to(device), 2 * rng.normal((4, 3)))


@pytest.mark.gradient
@DTYPES
def test_extreme(submission, tensor, device, dtype):
    """x 為 ±100、±1e4 時的輸出與梯度"""
    values = tensor([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=dtype)
    slope = tensor([0.0, 0.0, 0.5, 1.0, 1.0], dtype=dtype)
    for name, layer in kinds(submission, device).items():
        x = values.clone().requires_grad_()
        out = layer(x)
        assert_close(out, values.clamp(min=0), what=f"{name} 的輸出")
        out.backward(torch.ones_like(out))
        check(x.grad is not None, f"{name}：梯度傳不到 x", "None")
        assert_close(x.grad, slope, what=f"{name} 對 x 的梯度")
        for parameter in layer.parameters():
            assert_close(parameter.grad, torch.zeros_like(parameter), what=f"{name} 對 beta 的梯度")


@pytest.mark.behaviour
@pytest.mark.parametrize("approximate", ["erf", "Tanh"])
def test_unknown_approximate(submission, approximate):
    """不合法的 approximate 拋出 ValueError"""
    with raises(ValueError, approximate):
        submission.GELU(approximate)


@pytest.mark.speed
@pytest.mark.parametrize("name", ["Swish", "GELU"])
def test_speed(submission, reference, rng, device, name):
    """一百萬個元素的前向與反向的速度"""
    # Swish：參考解 1（11 ms），內建 0.2，自訂 autograd.Function 1.7，logsigmoid 2.1，float64 2.6，以 exp(−|x|) 分段 8，
    # clamp 後分段 12，布林索引分段 21。GELU：參考解 1（25 ms），內建 0.1，Normal.cdf 1.5，float64 2.9。
    # 逐元素迴圈約一萬倍，計數就先擋下。上限取 21 與一萬之間偏低的 60。
    base, cotangent = rng.normal((1_000_000,)), rng.normal((1_000_000,))

    def step(layer):
        return lambda x: layer(x).backward(cotangent)

    def inputs():  # 轉一個隨機的量：每一輪都是新的輸入，做起來比重抽快
        return (base.roll(rng.integer(1, 1_000_000)).requires_grad_(),)

    own, best = (getattr(module, name)().to(device) for module in (submission, reference))
    builtin = nn.SiLU() if name == "Swish" else nn.GELU()
    assert_within_budget(step(own), step(best), inputs, factor=60, baseline=step(builtin))
