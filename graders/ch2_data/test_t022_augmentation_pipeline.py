"""022 · 訓練與評估的影像前處理：評分"""

import random

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    check,
    np,
    same_random_state,
    torch,
    unchanged,
)

MEAN, STD = (0.2, 0.5, 0.9), (0.3, 0.7, 0.5)
NOTHING = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)  # 不標準化
TWO_STEPS = 2 / 255
BOTH = pytest.mark.parametrize("which", ["train", "eval"])


def make(submission, which, size, mean, std):
    return getattr(submission, f"{which}_transform")(size, mean, std)


def noise(rng, height, width):
    """uint8 的雜訊影像：縮放的方法稍有不同，像素就差很多。"""
    return rng.integers(0, 256, (3, height, width), dtype="uint8")


def as_pil(image):
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy()))


def channels(values, like):
    return torch.tensor(values, dtype=torch.float64, device=like.device).reshape(3, 1, 1)


def resized_and_cropped(image, size):
    """定義，float64：短邊到 size 的雙線性加 antialias，再裁正中央；0 到 1。"""
    _, height, width = image.shape
    short = min(height, width)
    shape = height * size // short, width * size // short  # 評分的影像都除得盡
    x = F.interpolate(image.double()[None] / 255, size=shape, mode="bilinear", antialias=True)[0]
    top, left = (shape[0] - size) // 2, (shape[1] - size) // 2
    return x[:, top : top + size, left : left + size]


def seeded(seed, function, *args):
    """function(*args)，全域亂數都從 seed 開始。"""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    return function(*args)


# ── 兩者 ──


@pytest.mark.shape
@BOTH
def test_shape(submission, rng, which):
    """輸出的形狀與 dtype：PIL 與 uint8 張量，比 size 大或小"""
    for size, (height, width) in ((24, (40, 61)), (33, (70, 45)), (17, (9, 12)), (16, (16, 16))):
        transform = make(submission, which, size, MEAN, STD)
        image = noise(rng, height, width)
        for kind, given in (("PIL 影像", as_pil(image)), ("uint8 張量", image)):
            out = transform(given)
            what = f"{which}_transform({size}, ...) 對 {height}×{width} 的 {kind}的結果"
            assert_shape(out, (3, size, size), what=what)
            assert_dtype(out, "float32", what=what)


@pytest.mark.behaviour
@BOTH
def test_input_unchanged(submission, rng, which):
    """不改動輸入"""
    image = noise(rng, 24, 24)
    transform = make(submission, which, 24, MEAN, STD)
    with unchanged(image):
        for _ in range(3):
            transform(image)


@pytest.mark.behaviour
@BOTH
def test_global_random_state(submission, which):
    """建立時不碰全域亂數"""
    with same_random_state():
        make(submission, which, 24, MEAN, STD)


# ── eval_transform ──


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["pil", "uint8"])
@pytest.mark.parametrize("size, shape", [(20, (60, 90)), (25, (70, 50)), (40, (20, 30))], ids=["wide", "tall", "small"])
def test_eval(submission, rng, size, shape, kind):
    """eval：短邊到 size、裁正中央，誤差不超過 2/255"""
    image = noise(rng, *shape)
    expected = resized_and_cropped(image, size)
    expected = expected.cpu() if kind == "pil" else expected
    out = submission.eval_transform(size, MEAN, STD)(as_pil(image) if kind == "pil" else image)
    assert_shape(out, expected.shape)
    before = out.double() * channels(STD, out) + channels(MEAN, out)
    assert_close(before, expected, rtol=0, atol=TWO_STEPS + 1e-6, what="eval 標準化之前的值（由輸出還原）")


@pytest.mark.numeric
def test_eval_flat(submission, rng, device):
    """eval：純色影像標準化之後的值"""
    colour = rng.integers(0, 256, (3, 1, 1), dtype="uint8")
    expected = ((colour.double() / 255 - channels(MEAN, colour)) / channels(STD, colour)).expand(3, 12, 12)
    out = submission.eval_transform(12, list(MEAN), list(STD))(colour.expand(3, 30, 20).contiguous())
    # 純色影像縮放之後還是同樣的整數，只剩 float32 的誤差。
    assert_close(out, expected, what="純色影像的輸出")


@pytest.mark.behaviour
def test_eval_deterministic(submission, rng):
    """eval：每次都相同"""
    image, transform = noise(rng, 24, 36), submission.eval_transform(16, MEAN, STD)
    first = transform(image).clone()
    for time in range(2, 32):  # 一半的機率翻轉的話，31 次都相同的機會是 2⁻³⁰
        again = transform(image)
        check(torch.equal(again, first), f"同一張影像，第 {time} 次的結果與第 1 次不同", first)


# ── train_transform ──


@pytest.mark.numeric
def test_train_normalised(submission, rng):
    """train：最後一步是以 mean、std 標準化"""
    image = noise(rng, 50, 40)
    plain, normalised = (submission.train_transform(24, *given) for given in (NOTHING, (MEAN, STD)))
    for _ in range(5):
        seed = rng.seed()
        x = seeded(seed, plain, image).double()
        # 插值可能略微超出 0 到 1（bicubic），所以寬一點。
        inside = bool((x > -0.3).all() and (x < 1.3).all())
        check(inside, f"不標準化時應在 0 到 1，得到 [{float(x.min()):.3g}, {float(x.max()):.3g}]", x)
        expected = (x - channels(MEAN, x)) / channels(STD, x)
        assert_close(seeded(seed, normalised, image), expected, atol=1e-5, what="同樣的種子下標準化的結果")


@pytest.mark.numeric
def test_train_range(submission, tensor):
    """train：不標準化時在 0 到 1 之間"""
    # 純色影像怎麼插值都不會超出；超出的只可能是改變顏色的那一步。
    image = tensor([255, 130, 0], dtype="uint8").reshape(3, 1, 1).expand(3, 24, 30).contiguous()
    transform = submission.train_transform(16, *NOTHING)
    outs = torch.stack([transform(image) for _ in range(60)])
    low, high = float(outs.min()), float(outs.max())
    check(low > -1e-4 and high < 1 + 1e-4, f"不標準化時應在 0 到 1，得到 [{low:.3g}, {high:.3g}]", outs)


@pytest.mark.behaviour
def test_train_flip(submission, device):
    """train：左右翻轉的機率在 0.2 到 0.8 之間"""
    # 左暗右亮的影像，怎麼裁、怎麼改顏色都還是左暗右亮，除非翻轉。
    ramp = torch.linspace(0, 255, 60, device=device).to(torch.uint8).expand(3, 48, 60).contiguous()
    transform = submission.train_transform(16, *NOTHING)
    outs = torch.stack([transform(ramp).mean((0, 1)) for _ in range(800)])
    rises = outs[:, 8:].mean(1) - outs[:, :8].mean(1)
    check((rises < 0).any(), "800 次都沒有左右翻轉", outs[0])
    check((rises > 0).any(), "800 次都左右翻轉了", outs[0])
    # 機率 0.2 時少於 100 次的機會是 8·10⁻⁹；0.1 時有九成八的機會看得出來。
    flips = int((rises < 0).sum())
    check(100 <= flips <= 700, f"800 次中左右翻轉了 {flips} 次：機率應在 0.2 到 0.8 之間", flips)


@pytest.mark.behaviour
@pytest.mark.parametrize("axis", ["horizontal", "vertical"])
def test_train_crop(submission, device, axis):
    """train：裁切的位置會變"""
    # 只有兩種灰色、界線在 0.4 處的影像：亮的部分占多少只看裁在哪裡，與顏色無關；翻轉則使 u 變成 1 − u。
    along = "水平" if axis == "horizontal" else "垂直"
    transform = submission.train_transform(20, *NOTHING)
    # 長寬比小於 4/3：更扁的影像，RandomResizedCrop(scale=(0.8, 1)) 多半找不到放得下的框而裁正中央。
    for height, width in ((40, 50), (60, 50), (50, 50)):
        image = torch.full((3, height, width), 64, dtype=torch.uint8, device=device)
        (image if axis == "vertical" else image.mT)[:, : (height if axis == "vertical" else width) * 2 // 5] = 192
        outs = torch.stack([transform(image).double().mean(0) for _ in range(100)]).flatten(1)
        low, high = outs.amin(1), outs.amax(1)
        share = torch.where(high - low > 0.05, (outs.mean(1) - low) / (high - low), 0.0)
        share = torch.minimum(share, 1 - share)
        spread = float(share.max() - share.min())
        # 位置固定時只差捨入，不到 0.01；放大 1/7 再裁，也有 0.1。
        check(spread > 0.03, f"{height}×{width} 的影像，100 次裁切的{along}位置都相同", share)


@pytest.mark.behaviour
def test_train_colour(submission, tensor):
    """train：純色影像的顏色會變"""
    image = tensor([200, 60, 30], dtype="uint8").reshape(3, 1, 1).expand(3, 24, 30).contiguous()
    transform = submission.train_transform(16, *NOTHING)
    centres = torch.stack([transform(image)[:, 8, 8] for _ in range(150)])
    spread = float((centres.amax(0) - centres.amin(0)).max())
    check(spread > TWO_STEPS, "150 次的顏色都相同：沒有隨機改變顏色", centres)


@pytest.mark.behaviour
def test_train_varies(submission, rng):
    """train：同一張影像每次的結果不同"""
    image, transform = noise(rng, 50, 40), submission.train_transform(16, MEAN, STD)
    outs = torch.stack([transform(image) for _ in range(10)])
    same = [number for number in range(2, 11) if torch.equal(outs[number - 1], outs[0])]
    assert_equal(same, [], what="與第 1 次完全相同的")
