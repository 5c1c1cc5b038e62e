"""024 · 大規模數據的批量處理：評分

What workers read lives in a module that is written when the grader runs: where workers are spawned instead of forked
they must be able to import it.
"""

import importlib
import os
import pickle
import sys

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_memory_growth,
    assert_shape,
    assert_within_budget,
    check,
    fail,
    np,
    raises,
    shared_rng,
    torch,
)

HELPER = '''
import torch
from torch.utils.data import get_worker_info


class WhoReads:
    """Each item says who reads it: 1 + the worker (0 for the main process), and how many workers there are."""

    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        info = get_worker_info()
        return torch.tensor([info.id + 1.0, info.num_workers] if info else [0.0, 0.0])
'''


class Rows:
    """A map-style dataset of rows that are in memory already."""

    def __init__(self, table):
        self.rows = list(table)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """What the workers import."""
    folder = tmp_path_factory.mktemp("workers")
    name = f"kata_readers_{os.urandom(8).hex()}"
    (folder / f"{name}.py").write_text(HELPER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(name)
    sys.modules.pop(name, None)


@pytest.fixture
def write(tmp_path):
    """write(array)：寫成沒有檔頭的檔案，回傳路徑。"""

    def write(array):
        path = tmp_path / "數據.bin"
        array.tofile(path)
        return path

    return write


@pytest.fixture(scope="module")
def large(request, tmp_path_factory):
    """(262144, 64) 的 float32 檔案，與它的平均、標準差。"""
    block = shared_rng(request).numpy.standard_normal((8192, 64), dtype="float32") * 3 + 5
    path = tmp_path_factory.mktemp("large") / "large.bin"
    with path.open("wb") as file:
        for _ in range(32):
            file.write(block.data)
    yield path, moments(block)
    path.unlink()


def moments(table):
    """每一欄的平均與母體標準差，兩遍的 float64；資料先減去第一列，最後一位也算得準。"""
    table = np.asarray(table, dtype="float64")
    centered = table - table[0]
    mean = centered.mean(0)
    std = np.sqrt(np.square(centered - mean).mean(0))
    return torch.from_numpy(table[0] + mean), torch.from_numpy(std)


def assert_moments(result, expected):
    check(isinstance(result, tuple | list) and len(result) == 2, "應傳回 (mean, std) 兩個張量", str(type(result)))
    for name, value, wanted in zip(("mean", "std"), result, expected, strict=True):
        assert_shape(value, wanted.shape, what=name)
        assert_dtype(value, "float64", what=name)
        assert_close(value, wanted, rtol=1e-6, atol=1e-12, what=name)


def random_table(rng, shape, dtype):
    if dtype.startswith("float"):
        return (rng.numpy.standard_normal(shape) * 2 + 3).astype(dtype)
    return rng.numpy.integers(100, 250, shape).astype(dtype)


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int16"])
def test_items(submission, rng, write, dtype):
    """長度、每筆的形狀、dtype 與內容"""
    table = random_table(rng, (7, 3), dtype)
    path = write(table)
    dataset = submission.MemmapDataset(rng.choice([path, str(path)]), (7, 3), dtype)
    assert_equal(len(dataset), 7, what="len(dataset)")
    for index in (6, 0, 3):
        row = dataset[index]
        assert_shape(row, (3,), what=f"dataset[{index}]")
        assert_dtype(row, dtype, what=f"dataset[{index}]")
        assert_equal(row, torch.from_numpy(table[index]), what=f"dataset[{index}]")
    check(path.read_bytes() == table.tobytes(), "檔案的內容被改動了", "file changed")


@pytest.mark.shape
def test_default_dtype(submission, rng, write):
    """dtype 預設 float32"""
    table = random_table(rng, (5, 2), "float32")
    dataset = submission.MemmapDataset(write(table), (5, 2))
    assert_equal(dataset[4], torch.from_numpy(table[4]), what="dataset[4]")


@pytest.mark.numeric
@pytest.mark.parametrize("n, batch_size", [(11, 4), (8, 4), (5, 9), (3, 1), (1, 2)])
def test_statistics(submission, rng, n, batch_size):
    """平均與母體標準差"""
    table = rng.normal((n, 3), dtype="float64").cpu()
    table[-1] += 10  # 最後一列很不同：少算它、或給它的 batch 太多份量，都差很多
    expected = moments(table)
    assert_moments(submission.streaming_mean_std(Rows(table), batch_size=batch_size), expected)


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int64"])
def test_dtypes(submission, rng, dtype):
    """各種 dtype 的資料"""
    table = random_table(rng, (700, 2), dtype)
    if dtype == "int64":
        table += 2**30  # float32 在這裡的間距是 128：先轉成 float32 就失去了標準差
    expected = moments(table)
    assert_moments(submission.streaming_mean_std(Rows(torch.from_numpy(table))), expected)


@pytest.mark.numeric
def test_large_mean(submission, rng, write):
    """平均 1e6、標準差 1 的 float32"""
    # E[x²] − E[x]² 的 float64 在 1e12 附近的間距是 1.2e-4：9 欄都碰巧準到 1e-6 的機會小於 1e-9。
    table = (rng.numpy.standard_normal((1000, 9)) + 1e6).astype("float32")
    expected = moments(table)
    dataset = submission.MemmapDataset(write(table), (1000, 9))
    assert_moments(submission.streaming_mean_std(dataset, batch_size=128), expected)


@pytest.mark.numeric
def test_constant_columns(submission, rng):
    """整欄相同時標準差是 0"""
    row = rng.uniform((40,), 0.1, 10, dtype="float64").cpu()
    mean, std = submission.streaming_mean_std(Rows(row.expand(700, 40)), batch_size=256)
    assert_close(mean, row, what="整欄相同時的 mean")
    limit = 1e-9 * row
    if not (std <= limit).all():
        worst = int((std - limit).nan_to_num(nan=1e9).argmax())
        fail(f"整欄都是 {row[worst]:.6g} 時，std 應為 0，得到 {std[worst]:.3g}", std)


@pytest.mark.behaviour
def test_memory_of_dataset(submission, large, rng):
    """建立 64 MiB 的 dataset、讀幾筆：私有記憶體增加不到 16 MiB"""
    path, _ = large
    with assert_memory_growth(16):
        dataset = submission.MemmapDataset(path, (262144, 64))
        rows = [dataset[rng.integer(0, 262144)] for _ in range(5)]
    assert_equal([tuple(row.shape) for row in rows], [(64,)] * 5, what="各筆的形狀")


@pytest.mark.behaviour
def test_memory_of_streaming(submission, large, rng, write):
    """讀完 64 MiB：私有記憶體增加不到 16 MiB，結果也對"""
    path, expected = large
    table = random_table(rng, (600, 64), "float32")
    submission.streaming_mean_std(submission.MemmapDataset(write(table), (600, 64)))  # 第一次用到的模組先載入
    with assert_memory_growth(16, poll=0.05):  # 每次取樣都要搶一次 GIL：逐筆讀取時別太常打斷
        dataset = submission.MemmapDataset(path, (262144, 64))
        result = submission.streaming_mean_std(dataset, batch_size=1024)
    assert_moments(result, expected)


@pytest.mark.behaviour
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_pickle(submission, rng, write, used):
    """pickle 不帶資料，還原後內容相同"""
    table = random_table(rng, (4096, 16), "float32")
    dataset = submission.MemmapDataset(write(table), (4096, 16), "float32")
    if used:
        assert_equal(dataset[7], torch.from_numpy(table[7]), what="dataset[7]")
    content = pickle.dumps(dataset)
    size = len(content)
    check(size < 16 * 1024, f"256 KiB 的檔案，pickle 後有 {size} bytes：把資料也帶走了", size)
    copy = pickle.loads(content)
    assert_equal(len(copy), 4096, what="還原後的 len(dataset)")
    for name, each in (("還原後的 dataset", copy), ("pickle 過的 dataset", dataset)):
        assert_equal(each[4095], torch.from_numpy(table[4095]), what=f"{name}[4095]")


@pytest.mark.behaviour
@pytest.mark.parametrize("excess", [-12, 12, 5], ids=["too-small", "too-large", "part-of-a-row"])
def test_size_mismatch(submission, rng, tmp_path, excess):
    """檔案大小不符：ValueError"""
    rows = rng.integer(400, 900)
    size = rows * 3 * 4 + excess
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(size))
    with raises(ValueError, size):
        submission.MemmapDataset(path, (rows, 3), "float32")


@pytest.mark.behaviour
def test_num_workers(submission, helper):
    """由 num_workers 個 worker 讀取"""
    mean, _ = submission.streaming_mean_std(helper.WhoReads(10), batch_size=4, num_workers=2)
    workers = float(mean[1])
    check(workers == 2, f"num_workers=2，讀取時卻有 {workers:g} 個 worker", mean)


@pytest.mark.behaviour
@pytest.mark.parametrize("size, options", [(10, {"batch_size": 4}), (300, {})], ids=["4", "default"])
def test_batch_size(submission, helper, size, options):
    """每次讀 batch_size 筆，預設 256"""
    # batch 輪流分給兩個 worker：每個 worker 讀了幾筆，就說出 batch 的大小。
    batch_size = options.get("batch_size", 256)
    mean, _ = submission.streaming_mean_std(helper.WhoReads(size), num_workers=2, **options)
    second = round(float(mean[0] - 1) * size)
    wanted = min(batch_size, size - batch_size)
    check(
        second == wanted,
        f"{size} 筆、兩個 worker、batch_size={batch_size}：第二個 worker 應讀 {wanted} 筆，卻是 {second} 筆",
        mean,
    )


@pytest.mark.speed
def test_speed(submission, reference, rng):
    """streaming_mean_std 的速度"""

    # 參考解 1；移位後累加 0.7 至 0.8；NumPy 1.0；讀兩遍 1.3；var_mean 1.5。逐列 Welford：torch 11，NumPy 4.1
    # （後者由行數先擋下）。上限是 1.5 與 11 的幾何平均。
    def step(module):
        return lambda dataset: torch.stack(module.streaming_mean_std(dataset))

    def inputs():
        return (Rows(torch.from_numpy(rng.numpy.standard_normal((32768, 64), dtype="float32"))),)

    assert_within_budget(step(submission), step(reference), inputs, factor=4)
