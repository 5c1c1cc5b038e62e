"""003 · 每一行的均值與標準差：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_distribution,
    assert_dtype,
    assert_shape,
    assert_type,
    check,
    fail,
    np,
    raises,
    torch,
    unchanged,
)

SHAPES = pytest.mark.parametrize("shape", [(5, 5), (7, 3), (2, 6), (4, 1)], ids=str)


def column_stats(x):
    """定義，逐字寫成 float64。"""
    x = x.detach().double()
    mean = x.sum(0) / len(x)
    return mean, ((x - mean).square().sum(0) / (len(x) - 1)).sqrt()


def pair(stats):
    """回傳值 (mean, std)。"""
    assert_type(stats, tuple, "回傳值")
    check(len(stats) == 2, f"回傳值應為 (mean, std) 兩項，得到 {len(stats)} 項", f"{len(stats)} items")
    return dict(zip(("mean", "std"), stats, strict=True))


# ── random_matrix ──


@pytest.mark.shape
def test_matrix_shape(submission):
    """random_matrix：預設 5x5，也接受其他大小"""
    for sizes in [(), (3, 7), (1, 4)]:
        x = submission.random_matrix(*sizes)
        assert_shape(x, sizes or (5, 5), f"random_matrix{sizes} ")
        assert_dtype(x, "float32", f"random_matrix{sizes} ")


@pytest.mark.behaviour
def test_uniform(submission, rng):
    """random_matrix：在 [0, 1) 上均勻"""
    x = submission.random_matrix(125, 80, generator=rng.generator())
    check(bool(((x >= 0) & (x < 1)).all()), f"值應在 [0, 1)，得到 [{float(x.min()):.4g}, {float(x.max()):.4g}]", x)
    assert_distribution(x, lambda values: np.clip(values, 0, 1), "random_matrix 的值")
    # float32 的均勻亂數有 2^24 種值，10,000 個中平均只有 3 個重複；超過 100 個重複不是偶然。
    distinct = len(x.unique())
    check(distinct > 9_900, f"10,000 個值中只有 {distinct} 個不同：每個元素應各自抽樣", x)


@pytest.mark.behaviour
def test_same_generator(submission, rng):
    """random_matrix：同樣的 generator 得到同樣的值"""
    seed = rng.seed()
    first = submission.random_matrix(4, 6, generator=rng.generator(seed)).clone()
    torch.manual_seed(rng.seed())
    second = submission.random_matrix(4, 6, generator=rng.generator(seed))
    if not torch.equal(first, second):
        fail("種子相同的兩個 generator 得到不同的值：generator 沒有用上", [first, second])


@pytest.mark.behaviour
def test_different_draws(submission, rng):
    """random_matrix：不同的 generator、連續兩次呼叫，得到不同的值"""
    seed = rng.seed()
    generator = rng.generator(seed)
    first = submission.random_matrix(4, 6, generator=generator).clone()
    again = submission.random_matrix(4, 6, generator=generator).clone()
    other = submission.random_matrix(4, 6, generator=rng.generator(seed + 1)).clone()
    plain = [submission.random_matrix(4, 6).clone() for _ in range(2)]
    check(not torch.equal(first, other), "不同的 generator 得到同樣的值", [first, other])
    check(not torch.equal(first, again), "同一個 generator 連續兩次得到同樣的值：種子被重設了", [first, again])
    check(not torch.equal(*plain), "沒給 generator 時，連續兩次得到同樣的值", plain)


@pytest.mark.behaviour
def test_global_generator(submission, rng):
    """random_matrix：沒給 generator 時，取自 torch 的全域亂數"""
    seed, draws = rng.seed(), []
    for _ in range(2):
        torch.manual_seed(seed)
        draws.append(submission.random_matrix(4, 6).clone())
    check(torch.equal(*draws), "torch.manual_seed 設了同樣的種子，卻得到不同的值：亂數不是取自全域", "own stream")


# ── column_stats ──


@pytest.mark.shape
@SHAPES
def test_stats_shape(submission, rng, shape):
    """column_stats：兩個結果都是 (cols,)，dtype 不變"""
    for dtype in ("float32", "float64"):
        for name, value in pair(submission.column_stats(rng.uniform(shape, dtype=dtype))).items():
            assert_shape(value, shape[1:], f"{name} ")
            assert_dtype(value, dtype, f"{name} ")


@pytest.mark.numeric
@SHAPES
def test_stats(submission, rng, shape):
    """column_stats：每一行的均值與樣本標準差"""
    x = rng.uniform(shape)
    expected = pair(column_stats(x))
    with unchanged(x):
        assert_close(pair(submission.column_stats(x)), expected)


@pytest.mark.numeric
def test_strided(submission, rng):
    """column_stats：非連續的輸入"""
    x = rng.strided((6, 4), dtype="float64")
    expected = pair(column_stats(x))
    with unchanged(x):
        assert_close(pair(submission.column_stats(x)), expected)


@pytest.mark.numeric
def test_large_mean(submission, rng):
    """column_stats：均值 ±1e4、標準差 0.1，std 的相對誤差不超過 1e-2"""
    # 1e4 處 float32 的間隔是 1/1024：真值從捨入後的輸入算起。E[x²] 的間隔是 8，與變異數 0.01 相減必然全錯。
    # 各行的均值不同（隔行變號）：整個矩陣減去同一個數的寫法，救不了每一行。
    centres = 1e4 * torch.tensor([1.0, -1.0] * 3 + [1.0], dtype=torch.float64, device=rng.device)
    x = (centres + 0.1 * rng.normal((50, 7), dtype="float64")).float()
    expected = column_stats(x)[1]
    # Welford 也是對的：它在 float32 的均值捨入到 1/1024，280 萬行裡最大的誤差是 1.2e-2，所以比題目說的寬一倍。
    assert_close(pair(submission.column_stats(x))["std"], expected, rtol=2e-2, atol=0, what="std ")


@pytest.mark.numeric
def test_constant_column(submission, rng):
    """column_stats：一整行都是同一個值，std 是 0"""
    # 根號裡加了 eps 的寫法，只有在這裡看得出來：√1e-8 是 1e-4。
    x = rng.uniform((6, 3))
    x[:, 1] = 0.375
    expected = column_stats(x)[1]
    assert_close(pair(submission.column_stats(x))["std"], expected, what="std ")


@pytest.mark.behaviour
def test_too_few_rows(submission, rng):
    """column_stats：少於兩列拋出 ValueError"""
    with raises(ValueError, "1"):
        submission.column_stats(rng.uniform((1, 6)))
    with raises(ValueError, "0"):
        submission.column_stats(rng.uniform((0, 6)))
