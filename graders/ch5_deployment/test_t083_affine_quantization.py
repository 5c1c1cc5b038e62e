"""083 · 仿射量化：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_finite,
    assert_shape,
    assert_tensor,
    assert_within_budget,
    cast,
    check,
    fail,
    forbid,
    torch,
    unchanged,
)

pytestmark = forbid(
    "torch.quantize_per_tensor",
    "torch.quantize_per_tensor_dynamic",
    "torch.quantize_per_channel",
    "torch.fake_quantize_per_tensor_affine",
    "torch.fake_quantize_per_channel_affine",
    "torch.ao",
    # What the same are made of, by way of torch.ops or modules that call it.
    "aten::quantize_per_tensor",
    "aten::quantize_per_channel",
    "aten::fake_quantize_per_tensor_affine_cachemask",
    "aten::_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
    "aten::fake_quantize_per_channel_affine_cachemask",
    "aten::_fake_quantize_learnable_per_tensor_affine",
)

SHAPE = (3, 5, 4)
WAYS = pytest.mark.parametrize("symmetric", [False, True], ids=["affine", "symmetric"])
SETTINGS = pytest.mark.parametrize("scale, zero_point", [(0.037, 0), (0.037, -101), (1.3, 55)])
FUZZ = 1e-3  # x / scale 到 255，float32 的捨入約 1e-5 步


@pytest.fixture
def values(rng):
    """values(name)：形狀 SHAPE，不連續，其中有 0（全正、全負的除外）。"""

    def make(name):
        x = rng.strided(SHAPE)
        x[1, 3, 3] = -1.5 * x.abs().max()  # 負的一邊比較大
        x[0, 1, 2] = x[2, 4, 0] = 0.0
        return {
            "mixed": 1e3 * x,
            "small": 1e-3 * x,
            "positive": x.abs() + 5,
            "negative": -x.abs() - 0.3,
            "skewed": x.abs() - 0.2 * (x < -1.0),
        }[name]

    return make


KINDS = pytest.mark.parametrize("name", ["mixed", "small", "positive", "negative"])


def numbers(value, channels, what):
    """scale 或 zero_point 成 float64 的 (C,)：一個或 C 個數。"""
    found = torch.as_tensor(value).detach().double().reshape(-1)
    count = channels or 1
    if len(found) != count:
        fail(f"{what} 應有 {count} 個數，得到 {len(found)} 個", f"shape {len(found)}")
    assert_finite(found, what=what)
    return found


def parts(quantized, axis=None):
    """(data, scale, zero_point) 成 float64，後兩者能與 data broadcast。"""
    data = quantized.data
    assert_dtype(data, "int8", what="data")
    channels = None if axis is None else data.shape[axis]
    shape = [-1 if dim == axis else 1 for dim in range(data.dim())]
    scale, zero_point = (numbers(getattr(quantized, n), channels, n).reshape(shape) for n in ("scale", "zero_point"))
    return data.double(), scale.to(data.device), zero_point.to(data.device)


def judge(quantized, x, axis=None, symmetric=False):
    """一個 QuantizedTensor 該有的一切：一步的大小、zero_point、半步之內、0 恰好是 0。"""
    dims = [dim for dim in range(x.dim()) if dim != axis]
    exact = x.double()
    low, high = exact.amin(dims, keepdim=True).clamp(max=0), exact.amax(dims, keepdim=True).clamp(min=0)
    data, scale, zero_point = parts(quantized, axis)
    used = (high - low > 0).expand_as(scale)
    if symmetric:
        wanted = torch.where(used, torch.maximum(-low, high) / 127, scale)
        assert_close(scale, wanted, rtol=1e-5, atol=0, what="對稱量化的 scale")
        assert_close(zero_point, torch.zeros_like(zero_point), what="對稱量化的 zero_point")
    else:
        ratio = (scale / ((high - low) / 254).where(used, scale)).max().item()
        check(ratio <= 1 + 1e-5, f"scale 太大：是 (high − low) / 254 的 {ratio:.4g} 倍", [scale, zero_point])
    whole = bool((zero_point == zero_point.round()).all()) and -128 <= zero_point.min() <= zero_point.max() <= 127
    check(whole, f"zero_point 應是 −128 到 127 的整數，得到 {zero_point.reshape(-1).tolist()}", [scale, zero_point])
    restored = quantized.dequantize()
    assert_shape(restored, x.shape, what="dequantize() 的結果")
    assert_finite(restored, what="dequantize() 的結果")
    error = (restored.double() - exact).abs() / scale
    worst = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
    if error[worst] > 0.5 + FUZZ:
        message = (
            f"最多差半步；{x[worst].item():.6g} 還原成 {restored[worst].item():.6g}，差 {error[worst].item():.3g} 步"
        )
        fail(message, restored)
    check((restored[x == 0] == 0).all(), "x 裡的 0 還原後不是 0", restored)


@pytest.mark.shape
@pytest.mark.parametrize("axis", [None, 1], ids=["tensor", "channel"])
@WAYS
def test_shape(submission, values, axis, symmetric):
    """data、scale、zero_point 與還原結果的形狀與 dtype"""
    quantized = submission.quantize(values("mixed"), symmetric=symmetric, axis=axis)
    assert_tensor(quantized.data, what="data")
    assert_shape(quantized.data, SHAPE, what="data")
    parts(quantized, axis)
    restored = quantized.dequantize()
    assert_shape(restored, SHAPE, what="dequantize() 的結果")
    check(restored.is_floating_point(), f"dequantize() 應傳回浮點張量，得到 {restored.dtype}", restored)


@pytest.mark.numeric
@KINDS
@WAYS
def test_quantize(submission, values, name, symmetric):
    """每一步夠小，還原的誤差不超過半步，0 恰好是 0"""
    x = values(name)
    judge(submission.quantize(x, symmetric=symmetric), x.clone(), symmetric=symmetric)


@pytest.mark.numeric
def test_dequantize(submission, values):
    """dequantize 是 (data − zero_point) · scale"""
    for axis in (None, 0, 2):
        quantized = submission.quantize(values("skewed"), axis=axis)
        data, scale, zero_point = parts(quantized, axis)
        assert_close(quantized.dequantize(), (data - zero_point) * scale, what=f"axis={axis} 的還原")


@pytest.mark.numeric
def test_ends(submission, tensor):
    """最大值恰好落在兩步之間時不溢位"""
    # 一步是 1/16，−101.5 步到 153.5 步：zero_point 捨入到 −26，最大值捨入到 128，只能存成 127。
    x = tensor([-101.5, 0.0, 20.0, 153.5]) / 16
    judge(submission.quantize(x), x.clone())


@pytest.mark.numeric
@pytest.mark.parametrize("value", [3.7, -0.02, 0.0])
def test_constant(submission, device, value):
    """常數張量與全 0 的張量"""
    for symmetric in (False, True):
        x = torch.full((2, 3), value, device=device)
        judge(submission.quantize(x, symmetric=symmetric), x.clone(), symmetric=symmetric)


@pytest.mark.numeric
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_channels(submission, values, axis):
    """沿 axis 的每個 channel 各自的 scale"""
    x = values("mixed").movedim(axis, 0)
    for channel in range(len(x)):
        x[channel] *= 10.0 ** (channel - 1)
    x[0] = 0.0
    x[1] = x[1].abs() + 500  # 一個 channel 全是正的
    x = x.movedim(0, axis)
    for symmetric in (False, True):
        judge(submission.quantize(x, symmetric=symmetric, axis=axis), x.clone(), axis, symmetric)


@pytest.mark.behaviour
@pytest.mark.parametrize("axis", [None, 1], ids=["tensor", "channel"])
def test_input_is_left_alone(submission, values, axis):
    """不改動輸入"""
    x = values("mixed")
    with unchanged(x):
        submission.quantize(x, axis=axis)
        submission.fake_quantize(x, 0.5, 3)


def between_steps(rng, scale):
    """(7, 6)：−300 步到 300 步，離 0.5 至少 0.05 步（先除或先乘倒數，捨入在 0.5 附近會不同）。"""
    steps = rng.integers(-300, 300, (7, 6)).double() + rng.uniform((7, 6), -0.45, 0.45, dtype="float64")
    return scale * steps


def oracle(x, scale, zero_point, cotangent=None):
    """torch 的內建函式在 float64 的值，或梯度。"""
    x = x.detach().double().requires_grad_()
    y = torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -128, 127)
    return y.detach() if cotangent is None else torch.autograd.grad((y * cotangent).sum(), x)[0]


@pytest.mark.numeric
@SETTINGS
def test_fake_quantize(submission, rng, scale, zero_point):
    """fake_quantize 的值與 torch 內建的相同"""
    for dtype in ("float32", "float64"):
        x = cast(between_steps(rng, scale), dtype)
        expected = oracle(x, scale, zero_point)
        result = submission.fake_quantize(x, scale, zero_point)
        assert_dtype(result, dtype)
        assert_close(result, expected)


@pytest.mark.numeric
def test_ties(submission, rng):
    """恰好在 0.5 的值捨入到偶數，zero_point 之後才加"""
    scale = rng.choice([0.125, 0.5, 2.0])  # 2 的冪：怎麼算都恰好在 0.5
    for zero_point in (0, 7):
        x = scale * (rng.permutation(400).float() - 200 + 0.5)
        expected = oracle(x, scale, zero_point)
        result = submission.fake_quantize(x, scale, zero_point)
        assert_close(result, expected, what=f"zero_point={zero_point} 時的結果")


@pytest.mark.numeric
def test_far_away(submission, tensor):
    """遠遠超出範圍的值截在兩端"""
    x = tensor([-1e10, -5e5, 5e5, 1e10, 0.0])
    expected = tensor([-27 * 0.5, -27 * 0.5, 228 * 0.5, 228 * 0.5, 0.0])
    assert_close(submission.fake_quantize(x, 0.5, -101), expected)


@pytest.mark.gradient
@SETTINGS
def test_gradient(submission, rng, scale, zero_point):
    """範圍內的梯度原樣通過，範圍外是 0"""
    x = between_steps(rng, scale).requires_grad_()
    cotangent = rng.normal(x.shape, dtype="float64")
    expected = oracle(x, scale, zero_point, cotangent)
    y = submission.fake_quantize(x, scale, zero_point)
    assert_close(_gradient(y, x, cotangent), expected, what="x 的梯度")


@pytest.mark.gradient
def test_gradient_at_the_ends(submission, rng, tensor):
    """範圍兩端：捨入之後才看有沒有超出"""
    steps = tensor([-128.7, -128.3, -127.6, -127.4, 126.6, 126.9, 127.3, 127.7], dtype="float64")
    for zero_point in (0, 7):
        x = (0.25 * (steps - zero_point)).requires_grad_()
        cotangent = rng.uniform(x.shape, 0.5, 1.5, dtype="float64")
        expected = oracle(x, 0.25, zero_point, cotangent)
        y = submission.fake_quantize(x, 0.25, zero_point)
        assert_close(_gradient(y, x, cotangent), expected, what=f"zero_point={zero_point} 時 x 的梯度")


def _gradient(y, x, cotangent):
    check(y.requires_grad, "fake_quantize 的輸出沒有連到 x 的計算圖", y)
    return torch.autograd.grad((y * cotangent).sum(), x)[0]


@pytest.mark.speed
def test_speed(submission, reference, rng):
    """fake_quantize 的前向與反向"""

    # 參考解 1；torch 內建 0.9；detach 組合 1.4 至 1.5；torch.where 1.7；轉成 float64 算 4.5；布林索引 8.7。
    # 每一千個元素一段的迴圈 16，運算數千個，計數就先擋下；逐元素更慢上千倍。上限是 8.7 與 16 的幾何平均。
    def step(function):
        return lambda x: function(x, 0.02, 11).sum().backward()

    def builtin(x, scale, zero_point):
        return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, -128, 127)

    def inputs():
        steps = rng.integers(-150, 150, (1_000_000,)).float() + rng.uniform((1_000_000,), -0.4, 0.4)
        return ((0.02 * steps).requires_grad_(),)

    own, best = step(submission.fake_quantize), step(reference.fake_quantize)
    assert_within_budget(own, best, inputs, factor=12, baseline=step(builtin))
