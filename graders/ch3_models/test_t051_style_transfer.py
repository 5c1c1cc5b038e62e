"""051 · 風格遷移：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_gradient_close,
    assert_gradients,
    assert_shape,
    check,
    fixture,
    nn,
    np,
    same_random_state,
    torch,
    unchanged,
)


def gram(features):
    """定義，一張一張地算。"""
    flat = [image.reshape(len(image), -1) for image in features]
    return torch.stack([f @ f.T / f.numel() for f in flat])


def content_loss(x, target):
    return (x - target).square().mean()


def style_loss(x, target):
    return (gram(x) - gram(target)).square().mean()


def total_loss(image, content, style, extractor, style_weight=1e4, content_weight=1.0):
    """stylize 要最小化的式子。"""
    features, targets = extractor(image), extractor(style)
    styles = [style_loss(x, target.detach()) for x, target in zip(features, targets, strict=True)]
    return content_weight * content_loss(features[-1], extractor(content)[-1].detach()) + style_weight * sum(styles)


def stylized(content, style, extractor, steps, lr=0.02, **weights):
    """Adam by its formulas, from the content image; without a clamp, so for images that stay away from 0 and 1."""
    image, m, v = content.clone(), torch.zeros_like(content), torch.zeros_like(content)
    for t in range(1, steps + 1):
        image.requires_grad_()
        (g,) = torch.autograd.grad(total_loss(image, content, style, extractor, **weights), image)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        image = image.detach() - lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    return image


@pytest.fixture
def extractor(rng, device):
    """三層卷積，各層的特徵 channel 數與大小都不同。"""

    class Extractor(nn.Module):
        def __init__(self):
            super().__init__()
            sizes = [(3, 12, 1), (12, 16, 2), (16, 10, 2)]
            self.layers = nn.ModuleList([nn.Conv2d(i, o, 3, stride=s, padding=1) for i, o, s in sizes])

        def forward(self, x):
            features = []
            for layer in self.layers:
                x = layer(x).tanh()  # no channel can be dead
                features.append(x)
            return features

    module = rng.fill_(Extractor().to(device), scale=0.1)
    with torch.no_grad():
        for layer in module.layers:  # as wide as nn.Conv2d's own initialisation
            layer.weight *= 10 * (3 * layer.weight[0].numel()) ** -0.5
    return module


@pytest.fixture
def images(rng):
    """兩張 content 與兩張大小不同的 style，離 0 與 1 都遠。"""

    def make(dtype="float64"):
        return rng.uniform((2, 3, 11, 14), 0.3, 0.7, dtype=dtype), rng.uniform((2, 3, 9, 12), 0.1, 0.9, dtype=dtype)

    return make


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gram_shape(submission, rng, dtype):
    """gram_matrix 的形狀與 dtype"""
    for b, c, h, w in [(2, 3, 5, 7), (1, 6, 4, 2)]:
        out = submission.gram_matrix(rng.normal((b, c, h, w), dtype=dtype))
        assert_shape(out, (b, c, c), what=f"輸入 {(b, c, h, w)} 的 Gram 矩陣")
        assert_dtype(out, dtype, what="Gram 矩陣")


@pytest.mark.numeric
@pytest.mark.parametrize("shape", [(3, 4, 5, 7), (1, 6, 4, 2)], ids=str)
def test_gram(submission, rng, shape):
    """gram_matrix：每張圖各算各的"""
    for features in (rng.normal(shape) + 0.5, rng.strided(shape)):
        expected = gram(features.double())
        with unchanged(features):
            assert_close(submission.gram_matrix(features), expected, what="Gram 矩陣")


@pytest.mark.gradient
def test_gram_gradient(submission, rng):
    """gram_matrix 通過 gradcheck"""
    assert_gradients(submission.gram_matrix, rng.normal((2, 3, 4, 2)))


@pytest.mark.numeric
def test_content_loss(submission, rng):
    """ContentLoss 是 MSE"""
    x, target = rng.normal((2, 3, 5, 4)), rng.normal((2, 3, 5, 4))
    expected = content_loss(x.double(), target.double())
    with unchanged(x, target):
        assert_close(submission.ContentLoss(target)(x), expected, what="ContentLoss ")


@pytest.mark.numeric
def test_style_loss(submission, rng):
    """StyleLoss 是 Gram 矩陣的 MSE，大小不同也能比"""
    for size in [(5, 4), (7, 3)]:
        x, target = rng.normal((2, 3, 5, 4)), 2 * rng.normal((2, 3, *size))
        expected = style_loss(x.double(), target.double())
        with unchanged(x, target):
            assert_close(submission.StyleLoss(target)(x), expected, what="StyleLoss ")


@pytest.mark.gradient
@pytest.mark.parametrize("kind", ["ContentLoss", "StyleLoss"])
def test_loss_gradient(submission, rng, kind):
    """損失對 x 的梯度；target 是常數"""
    formula = {"ContentLoss": content_loss, "StyleLoss": style_loss}[kind]
    x, leaf = rng.normal((2, 3, 5, 4), requires_grad=True), rng.normal((2, 3, 5, 4), requires_grad=True)
    copy = x.detach().double().requires_grad_()
    (expected,) = torch.autograd.grad(formula(copy, 2 * leaf.detach().double()), copy)
    loss = getattr(submission, kind)(2 * leaf)
    for _ in range(2):  # target 的計算圖若接在損失上，第二次 backward 時已經不在了
        own, through_target = torch.autograd.grad(loss(x), [x, leaf], allow_unused=True)
        check(through_target is None, f"{kind} 的 target 也有梯度：target 要 detach", through_target)
        assert_gradient_close(own, expected, what=f"{kind} 對 x 的梯度")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_result(submission, extractor, images, dtype):
    """stylize 的形狀與 dtype；結果不帶計算圖"""
    content, style = images(dtype)
    result = submission.stylize(content, style, extractor.to(getattr(torch, dtype)), steps=2)
    assert_shape(result, content.shape)
    assert_dtype(result, dtype)
    check(not result.requires_grad, "結果的 requires_grad 是 True：請交出 detach 過的張量", result)


@pytest.mark.numeric
@pytest.mark.parametrize(
    "frozen, steps, settings",
    [(False, 5, {}), (True, 4, {"lr": 0.01, "style_weight": 40.0, "content_weight": 3.0})],
    ids=["defaults", "settings"],
)
def test_steps(submission, extractor, images, frozen, steps, settings):
    """幾步之後的像素"""
    # float64：Adam 的第一步幾乎只看梯度的正負號，在 float32，很小的梯度會因捨入而變號。
    content, style = images()
    extractor.double()
    expected = stylized(content, style, extractor, steps, **settings)
    for parameter in extractor.parameters():
        parameter.requires_grad_(not frozen)
    result = submission.stylize(content.clone(), style.clone(), extractor, steps=steps, **settings)
    assert_close(result, expected, what=f"{steps} 步之後的像素")


@pytest.mark.behaviour
def test_zero_steps(submission, extractor, images):
    """steps = 0：content 的複本"""
    content, style = images()
    expected = content.clone()
    result = submission.stylize(content, style, extractor.double(), steps=0)
    assert_close(result, expected, what="steps = 0 的結果")
    with torch.no_grad():
        content.zero_()
    check(bool(result.any()), "結果與 content 共用記憶體：請先 clone", "shared")


@pytest.mark.behaviour
def test_range(submission, extractor, rng):
    """結果在 [0, 1]"""
    # 一半的像素就在 0 或 1 上：第一步往哪邊走都是一個 lr，總有上百個要出界。
    content, style = rng.uniform((1, 3, 20, 24), -0.5, 1.5).clamp(0, 1), rng.uniform((1, 3, 17, 21))
    result = submission.stylize(content, style, extractor, steps=3)
    low, high = float(result.detach().min()), float(result.detach().max())
    check(low >= 0 and high <= 1, f"結果的範圍是 [{low:.4g}, {high:.4g}]，應在 [0, 1]", result)


@pytest.mark.behaviour
def test_unchanged(submission, extractor, images):
    """不改動 content、style、extractor 與全域亂數"""
    content, style = images("float32")
    extractor.layers[0].requires_grad_(False)  # 有的凍結，有的沒有：一律還原成同一種也不對
    for mode in (True, False):
        extractor.train(mode)
        with unchanged(content, style, extractor), same_random_state():
            submission.stylize(content, style, extractor, steps=3)


@pytest.mark.behaviour
def test_photographs(submission, extractor, device):
    """兩張真實的照片：損失降到一半以下"""
    # 30 個隨機的 extractor：剩下的比例最大 0.024，對數平均 −5.17、標準差 0.62；0.5 在七個標準差之外。
    from PIL import Image

    def photo(name, size):
        with Image.open(fixture(f"photos/{name}")) as file:
            pixels = np.asarray(file.convert("RGB").resize(size), dtype=np.float32) / 255
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous().to(device)

    content, style = photo("pagoda.jpg", (64, 48)), photo("dahlia.jpg", (56, 44))
    with torch.no_grad():
        before = float(total_loss(content, content, style, extractor))
    result = submission.stylize(content.clone(), style.clone(), extractor, steps=100)
    with torch.no_grad():
        after = float(total_loss(result, content, style, extractor))
    ratio = after / before
    check(ratio < 0.5, f"走 100 步之後，損失是原來的 {ratio:.3g} 倍，應降到 0.5 倍以下", ratio)
