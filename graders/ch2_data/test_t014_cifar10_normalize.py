"""014 · CIFAR-10 與標準化：評分"""

import hashlib
import pickle
import shutil
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_type,
    check,
    fixture,
    np,
    raises,
    torch,
    unchanged,
)

FOLDER = "cifar-10-batches-py"
FILES = {True: [f"data_batch_{number}" for number in range(1, 6)], False: ["test_batch"]}


def truth(train):
    """像素 (N, 3, 32, 32) 與標籤，直接讀自檔案。"""
    batches = [pickle.loads(fixture(f"{FOLDER}/{name}").read_bytes(), encoding="bytes") for name in FILES[train]]
    pixels = np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32)
    return pixels, [int(label) for batch in batches for label in batch[b"labels"]]


def normalized(pixels, mean, std):
    """定義，逐字寫成 float64；pixels 是 (..., 3, H, W)。"""
    mean, std = (np.asarray(values, dtype=np.float64).reshape(3, 1, 1) for values in (mean, std))
    return torch.from_numpy((pixels.astype(np.float64) / 255 - mean) / std)


def photo(pixels):
    """(3, 高, 寬) 的像素變成 PIL 影像。"""
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


@pytest.fixture
def statistics(rng):
    """各 channel 不同的 mean 與 std。"""
    shift = rng.uniform((2, 3), 0, 0.05, dtype="float64").tolist()
    return tuple(
        tuple(base + extra for base, extra in zip(bases, extras, strict=True))
        for bases, extras in zip(((0.55, 0.65, 0.75), (0.15, 0.22, 0.3)), shift, strict=True)
    )


@pytest.fixture
def cifar10(monkeypatch):
    """測試資料的位置；torchvision 核對的 MD5 換成這份資料的，下載換成只記錄。"""
    from torchvision.datasets import CIFAR10

    def md5(name):
        return hashlib.md5(fixture(f"{FOLDER}/{name}").read_bytes()).hexdigest()

    downloads = []
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5(name)] for name in FILES[True]])
    monkeypatch.setattr(CIFAR10, "test_list", [[name, md5(name)] for name in FILES[False]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5("batches.meta")})
    monkeypatch.setattr(CIFAR10, "download", lambda dataset: downloads.append(dataset.root))
    return SimpleNamespace(root=fixture(), kind=CIFAR10, downloads=downloads)


# ── make_transform ──


@pytest.mark.shape
def test_transform_shape(submission, rng):
    """transform 的結果是 (3, 32, 32) 的 float32"""
    x = submission.make_transform()(photo(rng.integers(0, 256, (3, 32, 32), dtype="uint8").cpu().numpy()))
    assert_shape(x, (3, 32, 32), "transform 的結果")
    assert_dtype(x, "float32", "transform 的結果")


@pytest.mark.numeric
def test_default_statistics(submission, rng):
    """預設值：黑是 −1，白是 1"""
    pixels = rng.integers(0, 256, (3, 32, 32), dtype="uint8").cpu().numpy()
    pixels[:, 0], pixels[:, 1] = 0, 255
    assert_close(submission.make_transform()(photo(pixels)), normalized(pixels, [0.5] * 3, [0.5] * 3), what="結果")


@pytest.mark.numeric
def test_statistics(submission, rng, statistics):
    """其他的 mean 與 std，逐 channel"""
    pixels = rng.integers(0, 256, (3, 32, 32), dtype="uint8").cpu().numpy()
    assert_close(submission.make_transform(*statistics)(photo(pixels)), normalized(pixels, *statistics), what="結果")


# ── load_cifar10 ──


@pytest.mark.numeric
@pytest.mark.parametrize("train", [True, False], ids=["train", "test"])
def test_split(submission, cifar10, train):
    """每張影像與標籤都對，沒有 transform 時是 PIL 影像"""
    from PIL import Image

    pixels, labels = truth(train)
    dataset = submission.load_cifar10(cifar10.root, train=train)
    assert_type(dataset, cifar10.kind, "dataset")
    assert_equal(len(dataset), len(labels), "len(dataset)")
    images, found = zip(*[dataset[i] for i in range(len(labels))], strict=True)
    for image in images:
        assert_type(image, Image.Image, "影像")
    assert_equal(list(found), labels, "標籤")
    assert_equal(np.stack([np.asarray(image).transpose(2, 0, 1) for image in images]), pixels, "像素")


@pytest.mark.behaviour
def test_train_by_default(submission, cifar10):
    """train 預設是 True，root 也可以是字串"""
    assert_equal(len(submission.load_cifar10(str(cifar10.root))), 100, "len(dataset)")


@pytest.mark.numeric
def test_pipeline(submission, cifar10, statistics):
    """transform 套在每張影像上，DataLoader 取出標準化的 batch"""
    pixels, labels = truth(False)
    expected = normalized(pixels, *statistics)
    dataset = submission.load_cifar10(cifar10.root, train=False, transform=submission.make_transform(*statistics))
    [(images, found)] = torch.utils.data.DataLoader(dataset, batch_size=20)
    assert_close(images, expected, what="batch")
    assert_equal(found.tolist(), labels, "標籤")


@pytest.mark.behaviour
def test_transform_gets_the_image(submission, cifar10):
    """transform 收到 PIL 影像，樣本就是它的結果"""
    dataset = submission.load_cifar10(cifar10.root, transform=lambda image: (image.mode, image.size))
    assert_equal(dataset[3], (("RGB", (32, 32)), truth(True)[1][3]), "樣本")


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "missing, train",
    [("folder", True), ("data_batch_4", True), ("test_batch", False), ("test_batch", True), ("batches.meta", True)],
)
def test_missing_files(submission, cifar10, tmp_path, missing, train):
    """檔案不齊：FileNotFoundError，不下載"""
    root = tmp_path / "no-such-data"
    root.mkdir()
    if missing != "folder":
        shutil.copytree(fixture(FOLDER), root / FOLDER)
        (root / FOLDER / missing).unlink()
    try:
        with raises(FileNotFoundError, root.name):
            submission.load_cifar10(root, train=train)
    finally:
        check(not cifar10.downloads, "試著下載了：檔案應該已經在 root 底下", "download")


# ── denormalize ──


@pytest.mark.numeric
@pytest.mark.parametrize("batch", [(), (5,), (2, 4)], ids=["single", "batch", "two-batch-dims"])
def test_denormalize(submission, rng, statistics, batch):
    """denormalize 符合定義，不論有幾個 batch 維，記憶體也可以不連續"""
    x = 3 * rng.strided((*batch, 3, 7, 4))
    mean, std = (torch.tensor(values, dtype=torch.float64, device=x.device).view(3, 1, 1) for values in statistics)
    expected = x.double() * std + mean
    with unchanged(x):
        y = submission.denormalize(x, *statistics)
    assert_shape(y, x.shape)
    assert_dtype(y, "float32")
    assert_close(y, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.numeric
def test_denormalize_defaults(submission, rng):
    """denormalize 的預設值，dtype 與 x 相同"""
    x = rng.normal((2, 3, 4, 6), dtype="float64")
    expected = 0.5 * x + 0.5
    y = submission.denormalize(x)
    assert_dtype(y, "float64")
    assert_close(y, expected, rtol=0, atol=1e-6)


@pytest.mark.numeric
def test_round_trip(submission, cifar10, statistics):
    """denormalize(transform(影像)) 是影像除以 255"""
    pixels = truth(True)[0][17]
    x = submission.make_transform(*statistics)(photo(pixels))
    assert_close(submission.denormalize(x, *statistics), torch.from_numpy(pixels / 255.0), rtol=0, atol=1e-6)
