"""019 · MNIST 存成 pt 檔：評分"""

import contextlib
import os
import shutil
import zipfile

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_type,
    check,
    fail,
    fixture,
    np,
    raises,
    torch,
)

SIZES = {True: 37, False: 23}


@pytest.fixture
def digits(tmp_path, rng):
    """(root, 真值)：IDX 格式的亂數影像與標籤，訓練 37 張、測試 23 張。"""
    raw = tmp_path / "source" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    truth = {}
    for train, n in SIZES.items():
        pixels, labels = rng.numpy.integers(0, 256, (n, 28, 28)), rng.numpy.integers(0, 10, n)
        name = "train" if train else "t10k"
        for kind, values in (("images-idx3", pixels), ("labels-idx1", labels)):
            header = np.array([0x0800 + values.ndim, *values.shape], dtype=">i4").tobytes()
            (raw / f"{name}-{kind}-ubyte").write_bytes(header + values.astype(np.uint8).tobytes())
        truth[train] = torch.from_numpy(pixels / 255)[:, None], torch.from_numpy(labels)
    return tmp_path / "source", truth


@pytest.fixture
def folder(tmp_path):
    """空的資料夾。"""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def written(submission, digits, folder):
    """答案寫好的檔案。"""
    submission.mnist_to_pt(digits[0], folder / "digits.pt")
    if not (folder / "digits.pt").is_file():
        fail("沒有寫出 path 指定的檔案", "no file")
    return folder / "digits.pt"


@contextlib.contextmanager
def full_disk():
    """這個區塊裡檔案寫不到 20,000 個位元組；沒有這種限制的系統（Windows）讓 torch.save 寫到一半失敗。"""
    try:
        import resource
    except ImportError:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.serialization, "_save", no_space)
            yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def no_space(*args, **kwargs):
    raise OSError(28, "No space left on device")


@pytest.mark.shape
def test_shapes(submission, written):
    """TensorDataset(images, labels) 的形狀與 dtype"""
    dataset = submission.load_pt(written)
    assert_type(dataset, torch.utils.data.TensorDataset, "load_pt 的結果")
    assert_equal(len(dataset.tensors), 2, "張量的個數")
    for name, value, shape, dtype in zip(
        ("images", "labels"), dataset.tensors, ((37, 1, 28, 28), (37,)), ("float32", "int64"), strict=True
    ):
        assert_shape(value, shape, f"{name} ")
        assert_dtype(value, dtype, f"{name} ")


@pytest.mark.numeric
@pytest.mark.parametrize("train", [True, False], ids=["train", "test"])
def test_values(submission, digits, folder, train):
    """影像與標籤，檔案搬到別處之後載入"""
    root, truth = digits
    submission.mnist_to_pt(str(root), str(folder / "digits.pt"), train=train)
    path = shutil.move(folder / "digits.pt", folder.parent / "moved.bin")
    shutil.rmtree(root)
    images, labels = submission.load_pt(str(path)).tensors
    assert_close(images.float(), truth[train][0], what="images ")
    assert_equal(labels.long(), truth[train][1], "labels ")


@pytest.mark.numeric
def test_real_digits(submission, folder):
    """真實的手寫數字"""
    submission.mnist_to_pt(fixture(), folder / "digits.pt", train=False)
    pixels = np.frombuffer(fixture("MNIST/raw/t10k-images-idx3-ubyte").read_bytes(), dtype=np.uint8, offset=16)
    images = submission.load_pt(folder / "digits.pt").tensors[0]
    assert_close(images.float(), torch.from_numpy(pixels.reshape(200, 1, 28, 28) / 255.0), what="images ")


@pytest.mark.behaviour
def test_count(submission, digits, folder):
    """回傳寫了幾個樣本；預設是訓練集"""
    for options, n in (({}, 37), ({"train": False}, 23)):
        count = submission.mnist_to_pt(digits[0], folder / "digits.pt", **options)
        assert_equal(count, n, f"mnist_to_pt(root, path{', train=False' if options else ''}) ")


@pytest.mark.behaviour
def test_weights_only(written):
    """檔案以 weights_only=True 打得開"""
    try:
        torch.load(written, weights_only=True)
    except Exception as error:
        kind = type(error).__name__
        fail(f"torch.load(path, weights_only=True) 拋出 {kind}：檔案裡有張量以外的物件", f"load {kind}")


@pytest.mark.behaviour
def test_one_file(submission, digits, folder):
    """換掉舊檔，資料夾裡只有這一個檔案"""
    path = folder / "digits.v1"  # the name is the caller's, whatever it ends in
    for train in (False, True):
        submission.mnist_to_pt(digits[0], path, train=train)
        check(path.is_file(), "沒有寫出 path 指定的檔案", "no file")
        extra = sorted(item.name for item in folder.iterdir() if item != path)
        check(not extra, f"資料夾裡多出 {'、'.join(extra)}", f"{len(extra)} extra files")
        what = "換掉舊檔之後的樣本數" if train else "第一次寫的樣本數"
        assert_equal(len(submission.load_pt(path)), SIZES[train], what)


@pytest.mark.behaviour
@pytest.mark.parametrize("old", [True, False], ids=["old-file", "no-file"])
def test_failed_write(submission, digits, folder, old):
    """寫入失敗：拋出例外，資料夾和原來一樣"""
    path = folder / "digits.pt"
    if old:
        path.write_bytes(b"an old file")
    raised = ""
    with full_disk(), raises(Exception):
        try:
            submission.mnist_to_pt(digits[0], path)
        except Exception as error:
            raised = type(error).__name__
            raise
    sizes = [item.stat().st_size for item in sorted(folder.iterdir(), key=lambda item: item != path)]
    extra = [item.name for item in folder.iterdir() if item != path]
    check(not extra, f"寫入失敗後多出 {'、'.join(extra)}", ["extra", raised, *sizes])
    if old:
        check(path.exists(), "寫入失敗後舊檔不見了", ["gone", raised, *sizes])
        check(path.read_bytes() == b"an old file", "寫入失敗後舊檔被改了", ["changed", raised, *sizes])
    else:
        check(not path.exists(), "寫入失敗後留下半個檔案", ["half", raised, *sizes])


@pytest.mark.behaviour
@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "zip", "other-tensor", "other-dict"])
def test_broken_file(submission, written, rng, damage):
    """壞掉的檔案：ValueError"""
    path = written.with_name(f"{damage}.data")
    if damage == "empty":
        path.touch()
    elif damage == "truncated":
        whole = written.read_bytes()
        path.write_bytes(whole[: rng.integer(len(whole) // 20, len(whole) - 1)])
    elif damage == "text":
        path.write_text("label,pixel0,pixel1\n7,0,255\n", encoding="utf-8")
    elif damage == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "MNIST")
    else:
        torch.save({"weight": torch.zeros(3, 4)} if damage == "other-dict" else torch.zeros(3, 4), path)
    with raises(ValueError, path.name):
        submission.load_pt(path)


@pytest.mark.behaviour
def test_no_code_is_run(submission, tmp_path):
    """不執行檔案裡的程式"""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"images": Trap()}, tmp_path / "trap.pt")
    with raises(ValueError, "trap.pt"):
        submission.load_pt(tmp_path / "trap.pt")
    check(not (tmp_path / "ran").exists(), "載入時執行了檔案裡的程式：torch.load 要用 weights_only=True", "ran")


@pytest.mark.behaviour
def test_missing_file(submission, tmp_path):
    """沒有這個檔案：FileNotFoundError"""
    with raises(FileNotFoundError):
        submission.load_pt(tmp_path / "nothing.pt")
