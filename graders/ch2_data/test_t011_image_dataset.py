"""011 · 從本地文件加載圖像和標籤的 Dataset：評分"""

import builtins
import contextlib
import io
import itertools
import pickle
from pathlib import Path
from unittest import mock

import pytest

from torch_kata.checks import (
    assert_equal,
    assert_type,
    check,
    fail,
    fixture,
    nothing_left_open,
    nothing_left_running,
    np,
    raises,
    torch,
)

PHOTOS = [
    ("pagoda.jpg", 0),
    ("dahlia.jpg", 2),
    ("lake view.jpg", 1),
    ("佛香閣.jpg", 0),
    ("roof_alpha.png", 12),
    ("petals_palette.png", 2),
    ("conifer_gray.png", 3),
    ("roof #2.png", 12),
]
LABELS = """# 檔名 標籤
a.png 3
lake view.png\t-1

  佛香閣 二.png   12\x20\x20
   # 縮排的註解
roof #2.png 0
two  spaces.png 5
7 8.png 10
\x20\x20
a.png 4
# last.png 9"""
NAMES = ["a.png", "lake view.png", "佛香閣 二.png", "roof #2.png", "two  spaces.png", "7 8.png", "a.png"]
EXPECTED = [3, -1, 12, 0, 5, 10, 4]


def dataset_of(submission, folder, labels, transform=None):
    """標籤檔寫在別的資料夾裡，影像還不一定在的資料集。"""
    path = folder.parent / "labels.txt"
    path.write_text(labels, encoding="utf-8")
    try:
        return submission.ImageLabelDataset(folder, path, transform)
    except OSError as error:
        fail(f"建立資料集時就去找影像了（{type(error).__name__}）：要取用時才開", "opened in __init__")


@contextlib.contextmanager
def names_what_is_missing():
    """取用影像時找不到檔案，就說是哪一張。"""
    try:
        yield
    except FileNotFoundError as error:
        name = Path(str(error.filename)).name
        fail(f"去找了不存在的影像 {name!r}", f"missing {name}")


def item(dataset, index):
    """dataset[index]。"""
    with names_what_is_missing():
        return dataset[index]


def paint(rng, folder, names):
    """每個檔名一張 2×3 的 RGB 影像；回傳依檔名的像素。"""
    from PIL import Image

    pixels = {name: rng.integers(0, 256, (2, 3, 3), dtype="uint8").cpu().numpy() for name in names}
    for name, values in pixels.items():
        Image.fromarray(values).save(folder / name)
    return pixels


def pixels_of(image, what):
    """PIL 影像的像素，(H, W, 3)；不是 RGB 的 PIL 影像就評為失敗。"""
    from PIL import Image

    assert_type(image, Image.Image, what=what)
    check(image.mode == "RGB", f"{what}的 mode 應為 RGB，得到 {image.mode}", f"mode {image.mode}")
    return np.array(image)


@pytest.fixture
def folder(tmp_path):
    """放影像的空資料夾。"""
    path = tmp_path / "images"
    path.mkdir()
    return path


@pytest.fixture
def photos(submission):
    """fixtures 裡真實的照片：JPEG 與 PNG，RGB、RGBA、調色盤、灰階。"""
    return submission.ImageLabelDataset(str(fixture("photos")), str(fixture("photos/labels.txt")))


# ── 內容 ──


@pytest.mark.shape
def test_items(photos):
    """每一項是（RGB 的 PIL 影像, int）"""
    from PIL import Image

    assert_type(photos, torch.utils.data.Dataset, what="資料集")
    for index, (name, _) in enumerate(PHOTOS):
        with Image.open(fixture("photos") / name) as file:
            size = file.size
        image, label = item(photos, index)
        check(type(label) is int, f"{name} 的標籤應為 int，得到 {label!r}（{type(label).__name__}）", f"{label!r}")
        pixels_of(image, f"{name} ")
        assert_equal(image.size, size, what=f"{name} 的（寬, 高）")


@pytest.mark.numeric
def test_photos(photos):
    """照片的像素與標籤"""
    from PIL import Image

    for index, (name, label) in enumerate(PHOTOS):
        with Image.open(fixture("photos") / name) as file:
            expected = np.array(file.convert("RGB"))
        image, found = item(photos, index)
        assert_equal(pixels_of(image, f"{name} "), expected, what=f"{name} 的像素")
        assert_equal(found, label, what=f"{name} 的標籤")


@pytest.mark.numeric
def test_label_file(submission, rng, folder):
    """檔名與標籤的解析：空白、中文、#、負的標籤、重複的檔名"""
    pixels = paint(rng, folder, NAMES)
    dataset = dataset_of(submission, folder, LABELS)
    assert_equal(len(dataset), len(NAMES), what="len(dataset)")
    items = [item(dataset, index) for index in range(len(NAMES))]
    assert_equal([label for _, label in items], EXPECTED, what="依序的標籤")
    for name, (image, _) in zip(NAMES, items, strict=True):
        assert_equal(pixels_of(image, f"{name!r} "), pixels[name], what=f"{name!r} 的像素")


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["gray", "palette", "rgba"])
def test_modes(submission, rng, folder, mode):
    """灰階、調色盤、RGBA 的檔案也成為 RGB"""
    from PIL import Image

    values = rng.integers(0, 256, (5, 4, 4), dtype="uint8").cpu().numpy()
    if mode == "rgba":
        image, expected = Image.fromarray(values), values[..., :3].copy()
    else:
        image, expected = Image.fromarray(values[..., 0].copy()), np.stack([values[..., 0]] * 3, axis=-1)
    if mode == "palette":
        palette = rng.integers(0, 256, (256, 3), dtype="uint8").cpu().numpy()
        image.putpalette(palette.tobytes())
        expected = palette[values[..., 0]]
    image.save(folder / "x.png")
    found, _ = item(dataset_of(submission, folder, "x.png 1"), 0)
    assert_equal(pixels_of(found, f"{image.mode} 的檔案"), expected, what=f"{image.mode} 的檔案的像素")


@pytest.mark.behaviour
def test_default_encoding(submission, rng, folder):
    """系統的預設編碼不是 UTF-8（例如 cp950）也讀得對"""
    names = ["佛香閣 二.png", "湖.png"]
    pixels = paint(rng, folder, names)
    original = io.open

    def opened(file, mode="r", buffering=-1, encoding=None, *rest, **settings):
        if "b" not in mode and encoding in (None, "locale"):
            encoding = "cp950"
        return original(file, mode, buffering, encoding, *rest, **settings)

    with mock.patch.object(builtins, "open", opened), mock.patch.object(io, "open", opened):
        dataset = dataset_of(submission, folder, "佛香閣 二.png 1\n湖.png 2\n")
    for index, name in enumerate(names):
        image, label = item(dataset, index)
        assert_equal(pixels_of(image, f"{name} "), pixels[name], what=f"{name} 的像素")
        assert_equal(label, index + 1, what=f"{name} 的標籤")


# ── 取用 ──


@pytest.mark.behaviour
def test_lazy(submission, rng, folder):
    """還沒要取用的影像一張也不開"""
    dataset = dataset_of(submission, folder, "a.png 4\nb.png 5\nc.png 6\n")
    assert_equal(len(dataset), 3, what="影像都還不存在時的 len(dataset)")
    pixels = paint(rng, folder, ["b.png"])
    image, label = item(dataset, 1)
    assert_equal(pixels_of(image, "b.png "), pixels["b.png"], what="建立之後才存檔的 b.png 的像素")
    assert_equal(label, 5, what="b.png 的標籤")


@pytest.mark.behaviour
def test_nothing_left_open(submission, rng, folder):
    """不留下開著的檔案"""
    paint(rng, folder, NAMES)
    with nothing_left_open():
        dataset = dataset_of(submission, folder, LABELS)
        kept = [item(dataset, index) for index in range(len(NAMES))]  # 影像還在手上，檔案也該關了
    assert_equal(len(kept), 7, what="取出的項數")


@pytest.mark.behaviour
def test_index(submission, rng, folder):
    """負的 index；超出範圍時拋出 IndexError"""
    paint(rng, folder, NAMES)
    dataset = dataset_of(submission, folder, LABELS)
    assert_equal([item(dataset, i)[1] for i in (-1, -7, 6, 0)], [4, 3, 4, 3], what="index 為 −1、−7、6、0 的標籤")
    for index in (7, -8):
        with raises(IndexError):
            dataset[index]


@pytest.mark.behaviour
def test_iteration_ends(submission, rng, folder):
    """for 迴圈走過每個樣本一次就停"""
    paint(rng, folder, NAMES)
    dataset = dataset_of(submission, folder, LABELS)
    with names_what_is_missing():
        labels = [label for _, label in itertools.islice(iter(dataset), 20)]
    assert_equal(labels, EXPECTED, what="迭代得到的標籤")


@pytest.mark.behaviour
def test_transform(submission, rng, folder):
    """transform 拿到 RGB 影像，它的結果就是 image"""
    from PIL import Image

    Image.fromarray(rng.integers(0, 256, (4, 3), dtype="uint8").cpu().numpy()).save(folder / "gray.png")
    seen, result = [], object()

    def transform(*given):
        seen.append([(type(x).__name__, getattr(x, "mode", None)) for x in given])
        return result

    image, label = item(dataset_of(submission, folder, "gray.png 8", transform), 0)
    assert_equal(seen, [[("Image", "RGB")]], what="每次呼叫 transform 的引數（型別, mode）")
    check(image is result, f"image 應是 transform 的結果，得到 {type(image).__name__}", type(image).__name__)
    assert_equal(label, 8, what="標籤")


@pytest.mark.behaviour
def test_pickle(submission, rng, folder):
    """可以 pickle"""
    paint(rng, folder, NAMES)
    dataset = dataset_of(submission, folder, LABELS)
    expected = [item(dataset, index)[1] for index in range(7)]
    try:
        copied = pickle.loads(pickle.dumps(dataset))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        fail(f"pickle 失敗（Windows、macOS 上 worker 就收不到它）：{error}", f"unpicklable {error}")
    assert_equal([item(copied, index)[1] for index in range(7)], expected, what="pickle 之後的標籤")


@pytest.mark.behaviour
def test_workers(submission, rng, folder):
    """2 個 worker 的 DataLoader"""
    pixels = paint(rng, folder, NAMES)
    dataset = dataset_of(submission, folder, LABELS, np.array)
    with nothing_left_running():
        try:
            items = list(torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=2))
        except FileNotFoundError as error:
            fail(f"worker 找不到影像：{str(error).splitlines()[-1]}", "missing in worker")
    assert_equal([label for _, label in items], EXPECTED, what="worker 讀出的標籤")
    expected = [torch.from_numpy(pixels[name]) for name in NAMES]
    assert_equal([image for image, _ in items], expected, what="worker 讀出的像素")


# ── 不合法的輸入 ──


def fails_at(submission, rng, folder, line, skipped=()):
    """第二十幾到九十幾行中的一行不合法，第 4 行起是該略過的行：ValueError 要寫出那個行號。"""
    paint(rng, folder, ["x.png"])
    path = folder.parent / "labels.txt"
    # 行號不能碰巧出現在路徑裡：訊息可能也寫出路徑。
    number = rng.choice([n for n in range(21, 99) if str(n) not in str(path)])
    lines = ["x.png 0"] * (number - 1)
    lines[3 : 3 + len(skipped)] = skipped
    path.write_text("\n".join([*lines, line, "x.png 0", ""]), encoding="utf-8")
    with raises(ValueError, number):
        submission.ImageLabelDataset(folder, path)


@pytest.mark.behaviour
@pytest.mark.parametrize("line", ["lonely.png", "7", "x.png cat", "x.png 1.5"])
def test_bad_line(submission, rng, folder, line):
    """不足兩個詞、標籤不是整數：建立時就拋出 ValueError，寫出行號"""
    fails_at(submission, rng, folder, line)


@pytest.mark.behaviour
def test_line_number(submission, rng, folder):
    """行號從 1 起，略過的行也算"""
    fails_at(submission, rng, folder, "x.png cat", ["# 註解", "", "   # 縮排的註解 7"])


@pytest.mark.behaviour
def test_missing_image(submission, rng, folder):
    """影像不存在：取用時才拋出 FileNotFoundError，寫出檔名"""
    paint(rng, folder, ["a.png"])
    dataset = dataset_of(submission, folder, "a.png 1\n缺席 的.png 2\n")
    with raises(FileNotFoundError, "缺席 的.png"):
        dataset[1]
    assert_equal(item(dataset, 0)[1], 1, what="別張的標籤")
