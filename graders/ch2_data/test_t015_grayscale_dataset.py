"""015 · 灰階資料集：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradients,
    assert_shape,
    assert_type,
    check,
    np,
    torch,
    unchanged,
)

HALF_STEP = 0.51 / 255  # 四捨五入到 8 bit 的誤差，再寬一點


def luma(images):
    """BT.601 的公式，float64。"""
    x = images.double()
    return (x.select(-3, 0) * 299 + x.select(-3, 1) * 587 + x.select(-3, 2) * 114).unsqueeze(-3) / 1000


def recorded(items):
    """一個記下每次讀了哪一項的資料集。"""

    class Recorded(torch.utils.data.Dataset):
        def __init__(self):
            self.reads = []

        def __len__(self):
            return len(items)

        def __getitem__(self, index):
            self.reads.append(index)
            return items[index]

    return Recorded()


def bytes_of(rng, shape):
    return rng.integers(0, 256, shape, dtype="uint8").cpu().numpy()


def item(dataset, index):
    """dataset[index]，應是 (gray, label)。"""
    found = dataset[index]
    pair = isinstance(found, tuple | list) and len(found) == 2
    check(pair, f"第 {index} 項應是 (gray, label)，得到 {type(found).__name__}", found)
    return found


def first(submission, image):
    """只有一項的資料集轉出來的灰階。"""
    gray, _ = item(submission.convert_to_grayscale(recorded([(image, 0)])), 0)
    assert_dtype(gray, "float32", what="灰階")
    return gray


# ── rgb_to_gray ──


@pytest.mark.shape
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5), (2, 4, 3, 5, 1)], ids=str)
def test_shape(submission, rng, shape):
    """rgb_to_gray：輸出的形狀與 dtype"""
    for dtype in ("float32", "float64"):
        gray = submission.rgb_to_gray(rng.uniform(shape, dtype=dtype))
        assert_shape(gray, (*shape[:-3], 1, *shape[-2:]))
        assert_dtype(gray, dtype)


@pytest.mark.numeric
def test_formula(submission, rng):
    """rgb_to_gray：0.299 R + 0.587 G + 0.114 B，不改動輸入"""
    cases = {
        "一張": rng.uniform((3, 6, 4)),
        "三張（標準化過，不限於 0 到 1）": 2 * rng.normal((3, 3, 2, 5)),
        "多一維": rng.uniform((3, 2, 3, 3, 4), dtype="float64"),
        "不連續（由 HWC 轉來）": rng.uniform((5, 7, 3)).permute(2, 0, 1),
    }
    for name, images in cases.items():
        expected = luma(images)
        with unchanged(images):
            gray = submission.rgb_to_gray(images)
        assert_close(gray, expected, what=f"{name}的灰階")


@pytest.mark.numeric
def test_primaries(submission, device):
    """rgb_to_gray：純紅、純綠、純藍、白"""
    colours = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=torch.float64, device=device)
    expected = torch.tensor([0.299, 0.587, 0.114, 1.0], dtype=torch.float64, device=device).reshape(4, 1, 1, 1)
    for dtype in (torch.float64, torch.float32):
        gray = submission.rgb_to_gray(colours.to(dtype).reshape(4, 3, 1, 1))
        assert_close(gray, expected, atol=1e-6, what="紅、綠、藍、白的灰階")


@pytest.mark.gradient
def test_gradient(submission, rng):
    """rgb_to_gray：梯度"""
    assert_gradients(submission.rgb_to_gray, rng.uniform((2, 3, 2, 4)))


# ── convert_to_grayscale ──


@pytest.mark.shape
def test_dataset(submission, rng):
    """資料集的長度，各種項目的形狀與 dtype"""
    from PIL import Image

    images = {
        "PIL 影像": Image.fromarray(bytes_of(rng, (4, 6, 3))),
        "uint8 張量": rng.integers(0, 256, (3, 4, 6), dtype="uint8"),
        "float32 張量": rng.uniform((3, 4, 6)),
        "float64 張量": rng.uniform((3, 4, 6), dtype="float64"),
    }
    dataset = submission.convert_to_grayscale(recorded([(image, 0) for image in images.values()]))
    assert_type(dataset, torch.utils.data.Dataset)
    assert_equal(len(dataset), 4, what="長度")
    for index, name in enumerate(images):
        gray, _ = item(dataset, index)
        assert_shape(gray, (1, 4, 6), what=f"{name}的灰階")
        assert_dtype(gray, "float32", what=f"{name}的灰階")


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "CMYK"])
def test_pil(submission, rng, mode):
    """PIL 影像：誤差不超過 0.51/255"""
    from PIL import Image

    if mode == "P":
        image, palette = Image.fromarray(bytes_of(rng, (8, 11))), bytes_of(rng, (256, 3))
        image.putpalette(palette.tobytes())
        rgb = palette[np.array(image)]
    elif mode == "CMYK":
        image = Image.frombytes("CMYK", (11, 8), bytes_of(rng, (8, 11, 4)).tobytes())
        rgb = np.array(image.convert("RGB"))
    elif mode == "1":
        bits = bytes_of(rng, (8, 11)) > 127
        image, rgb = Image.fromarray(bits), np.stack([255 * bits] * 3, axis=-1)
    else:
        values = bytes_of(rng, {"RGB": (8, 11, 3), "L": (8, 11), "RGBA": (8, 11, 4)}[mode])
        image = Image.fromarray(values)
        rgb = np.stack([values] * 3, axis=-1) if mode == "L" else values[..., :3]
    check(image.mode == mode, f"評分的影像應是 {mode}")
    expected = luma(torch.from_numpy(rgb.copy()).permute(2, 0, 1)) / 255
    assert_close(first(submission, image), expected, rtol=0, atol=HALF_STEP, what=f"{mode} 影像的灰階")


@pytest.mark.numeric
def test_uint8(submission, rng):
    """uint8 張量：誤差不超過 0.51/255"""
    image = rng.integers(0, 256, (3, 9, 12), dtype="uint8")
    expected = luma(image) / 255
    assert_close(first(submission, image), expected, rtol=0, atol=HALF_STEP, what="uint8 張量的灰階")


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_float(submission, rng, dtype):
    """浮點數張量：誤差不超過 1e-6"""
    image = rng.uniform((3, 9, 12), dtype=dtype)
    expected = luma(image)
    assert_close(first(submission, image), expected, rtol=0, atol=1e-6, what=f"{dtype} 張量的灰階")


@pytest.mark.behaviour
def test_lazy(submission, rng):
    """建立時一項也不讀，取一項恰好讀一次"""
    base = recorded([(image, 0) for image in rng.uniform((5, 3, 2, 4))])
    dataset = submission.convert_to_grayscale(base)
    len(dataset)
    assert_equal(base.reads, [], what="建立與取長度之後，讀過的項")
    for index in (3, 0, 3):
        base.reads.clear()
        dataset[index]
        check(base.reads == [index], f"取用第 {index} 項時應只讀第 {index} 項一次，卻讀了 {base.reads}", [*base.reads])


@pytest.mark.behaviour
def test_labels(submission, rng):
    """label 原封不動"""
    labels = ["貓", 7, {"box": [1, 2]}, None, torch.tensor(3)]
    dataset = submission.convert_to_grayscale(recorded([(rng.uniform((3, 2, 4)), label) for label in labels]))
    for index, label in enumerate(labels):
        _, found = item(dataset, index)
        check(found is label, f"第 {index} 項的 label 應是原來的 {label!r}，得到 {found!r}", repr(found))


@pytest.mark.behaviour
def test_base_unchanged(submission, rng):
    """不改動 dataset 裡的張量"""
    tensors = [rng.uniform((3, 4, 5)), rng.uniform((3, 4, 5), dtype="float64"), 255 * rng.uniform((3, 4, 5))]
    tensors[2] = tensors[2].to(torch.uint8)
    dataset = submission.convert_to_grayscale(recorded([(image, 0) for image in tensors]))
    with unchanged(*tensors):
        for index in range(3):
            dataset[index]
