"""013 · 隨機裁剪與水平翻轉：評分"""

import pytest

from torch_kata.checks import (
    assert_dtype,
    assert_equal,
    assert_frequencies,
    assert_rate,
    assert_shape,
    check,
    fail,
    raises,
    same_random_state,
    torch,
    unchanged,
)

SHAPE, SIZE = (2, 6, 8), (3, 4)  # 4 × 5 個位置
PLACES, DRAWS = 20, 1200


def outcomes(image, size):
    """所有可能的輸出：先是各個視窗（依 top、left），再是它們的鏡像。"""
    h, w = size
    _, height, width = image.shape
    corners = [(top, left) for top in range(height - h + 1) for left in range(width - w + 1)]
    windows = torch.stack([image[:, top : top + h, left : left + w] for top, left in corners])
    return torch.cat([windows, windows.flip(-1)])


def which(out, possible):
    """輸出是第幾種；哪一種都不是就評為失敗。"""
    assert_shape(out, possible.shape[1:])
    found = (possible == out).flatten(1).all(1)
    if not found.any():
        fail("輸出不是影像的任何一個視窗，也不是視窗的左右鏡像", out)
    return int(found.long().argmax())


def counts(crop, device):
    """1200 次裁切中，每個位置不翻與翻轉的次數，(2, 20)。"""
    image = torch.arange(96, device=device).reshape(SHAPE)
    possible = outcomes(image, SIZE).flatten(1)
    outs = [crop(image) for _ in range(DRAWS)]
    for out in outs:
        assert_shape(out, (2, *SIZE))
    found = (torch.stack(outs).flatten(1)[:, None] == possible).all(-1)
    if not found.any(1).all():
        fail("輸出不是影像的任何一個視窗，也不是視窗的左右鏡像", outs[int(found.any(1).long().argmin())])
    return found.long().argmax(1).bincount(minlength=2 * PLACES).reshape(2, PLACES).cpu()


@pytest.mark.shape
@pytest.mark.parametrize("size", [3, (2, 5), (5, 7)], ids=str)
def test_shape(submission, rng, size):
    """輸出的形狀與 dtype"""
    crop = submission.RandomCropFlip(size)
    for channels, dtype in ((1, "float32"), (4, "float64"), (3, "uint8")):
        out = crop((255 * rng.uniform((channels, 5, 7))).to(getattr(torch, dtype)))
        assert_shape(out, (channels, size, size) if size == 3 else (channels, *size))
        assert_dtype(out, dtype)


@pytest.mark.numeric
@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "uint8", "bool"])
def test_window(submission, rng, dtype):
    """輸出恰好是一個視窗或它的左右鏡像"""
    image = 100 + 50 * rng.normal((3, 6, 7), dtype="float64") if dtype != "bool" else rng.normal((3, 6, 7)) > 0
    image = image.to(getattr(torch, dtype))
    for size in ((4, 3), (2, 7), (6, 5)):
        possible = outcomes(image.clone(), size)
        for p in (0.0, 1.0):
            crop = submission.RandomCropFlip(size, p)
            for _ in range(4):
                with unchanged(image):
                    out = crop(image)
                assert_dtype(out, dtype)
                which(out, possible)


@pytest.mark.numeric
def test_strided(submission, rng):
    """不連續的影像（由 HWC 轉來、切片）"""
    for image in (rng.normal((6, 7, 3)).permute(2, 0, 1), rng.normal((3, 13, 9))[:, ::2, 1:8]):
        possible = outcomes(image.clone(), (4, 3))
        for p in (0.0, 1.0):
            which(submission.RandomCropFlip((4, 3), p)(image), possible)


@pytest.mark.numeric
def test_offsets(submission, rng, device):
    """每個位置的機率相同，包含最後一列與一行"""
    crop = submission.RandomCropFlip(SIZE, generator=rng.generator())
    table = counts(crop, device).sum(0).reshape(4, 5)
    assert_frequencies(table.sum(1).tolist(), what="top 為 0 到 3 的次數，")
    assert_frequencies(table.sum(0).tolist(), what="left 為 0 到 4 的次數，")
    assert_frequencies(table.flatten().tolist(), what="20 個位置（依 top、left 排列）")


@pytest.mark.numeric
@pytest.mark.parametrize("rates", [(0.2,), (0.0, 1.0), (None,)], ids=["sometimes", "never_always", "default"])
def test_flip_rate(submission, device, rates):
    """翻轉的比例是 p，預設 0.5"""
    for p in rates:
        given, rate = ((), 0.5) if p is None else ((p,), p)
        flips = counts(submission.RandomCropFlip(SIZE, *given), device)[1].sum()
        assert_rate(flips, DRAWS, rate, what=f"p = {rate:g} 時翻轉的比例")


@pytest.mark.numeric
def test_independent(submission, device):
    """翻轉與位置無關"""
    p = 0.4
    table = counts(submission.RandomCropFlip(SIZE, p), device)
    shares = [(1 - p) / PLACES] * PLACES + [p / PLACES] * PLACES
    assert_frequencies(table.flatten().tolist(), shares, what="40 種結果（20 個位置不翻，再 20 個位置翻轉）")


@pytest.mark.behaviour
def test_generator(submission, rng):
    """同樣的 generator 給出同樣的一連串結果，不動用全域亂數"""
    image, seed = rng.normal(SHAPE), rng.seed()
    with same_random_state():
        runs = []
        for number in (seed, seed, seed + 1):
            crop = submission.RandomCropFlip(SIZE, generator=rng.generator(number))
            runs.append(torch.stack([crop(image) for _ in range(25)]))
        check(torch.equal(runs[0], runs[1]), "兩個 generator 的種子相同，25 次的結果卻不同", runs[1])
        check(not torch.equal(runs[0], runs[2]), "兩個 generator 的種子不同，25 次的結果卻完全相同", runs[2])


@pytest.mark.behaviour
def test_global_generator(submission, rng):
    """沒有 generator 時，結果由 torch.manual_seed 決定"""
    image, seed = rng.normal(SHAPE), rng.seed()
    crop = submission.RandomCropFlip(SIZE)
    runs = []
    for number in (seed, seed, seed + 1):
        torch.manual_seed(number)
        runs.append(torch.stack([crop(image) for _ in range(25)]))
    check(torch.equal(runs[0], runs[1]), "torch.manual_seed 給了同樣的種子，25 次的結果卻不同", runs[1])
    check(not torch.equal(runs[0], runs[2]), "torch.manual_seed 給了不同的種子，25 次的結果卻完全相同", runs[2])


@pytest.mark.behaviour
def test_new_draw_each_call(submission, rng):
    """每次呼叫都重新抽，給了 generator 也一樣"""
    image = rng.normal(SHAPE)
    for generator in (None, rng.generator()):
        crop = submission.RandomCropFlip(SIZE, generator=generator)
        outs = torch.stack([crop(image) for _ in range(25)])
        given = "給了 generator 時，" if generator else ""
        check(not all(torch.equal(out, outs[0]) for out in outs), f"{given}25 次呼叫的結果完全相同", outs)


@pytest.mark.behaviour
def test_input_unchanged(submission, rng):
    """不改動輸入"""
    image = rng.normal((3, 5, 6))
    before = image.clone()
    for p in (0.0, 1.0):
        for size in ((4, 3), (5, 6)):
            submission.RandomCropFlip(size, p)(image)
            assert_equal(image, before, what=f"size = {size}、p = {p:g} 呼叫之後，輸入")


@pytest.mark.behaviour
@pytest.mark.parametrize("size, length", [((55, 13), 55), ((13, 65), 65)], ids=["height", "width"])
def test_too_large(submission, rng, size, length):
    """視窗放不下：ValueError，寫出放不下的長度"""
    crop = submission.RandomCropFlip(size)
    with raises(ValueError, length):
        crop(rng.normal((3, 21, 34)))
