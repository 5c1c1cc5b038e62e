"""021 · 自定義的 CSV 資料集：評分"""

import csv
import re

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_tensor,
    assert_type,
    check,
    fixture,
    raises,
    same_random_state,
    torch,
)


def iris():
    """真實的鳶尾花表：欄名與各列，標籤 species 在第 2 欄（從 0 數）。"""
    with fixture("iris.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def write(path, *rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    return path


def contents(dataset, n):
    """所有樣本的特徵 (n, d) 與標籤。"""
    assert_equal(len(dataset), n, "len(dataset)")
    features, labels = zip(*[dataset[i] for i in range(n)], strict=True)
    for x in features:
        assert_tensor(x, "特徵")
    return torch.stack(features), list(labels)


@pytest.fixture
def cells(rng):
    """cells(n, d)：n 列 d 個數字，寫成文字。"""
    return lambda n, d: [[f"{x:.3f}" for x in row] for row in rng.normal((n, d), dtype="float64").tolist()]


@pytest.fixture
def samples(rng):
    """60 個 (特徵, 標籤)：特徵各不相同，三類各 20 個。"""
    keys = rng.normal((60, 1), dtype="float64").cpu()
    return [(key, int(label)) for key, label in zip(keys, rng.permutation(60) % 3, strict=True)]


def epoch(loader):
    """一個 epoch 的特徵，依給出的順序。"""
    return torch.tensor([key for batch in loader for key in batch[0].flatten().tolist()], dtype=torch.float64)


# ── CsvDataset ──


@pytest.mark.shape
def test_item(submission, tmp_path, cells):
    """樣本是 float32 的 (d,) 與 int"""
    path = write(
        tmp_path / "table.csv", "abcd", *[[*row, label] for row, label in zip(cells(5, 3), "yxxyx", strict=True)]
    )
    dataset = submission.CsvDataset(path, "d")
    assert_type(dataset, torch.utils.data.Dataset, "dataset")
    for index in (0, 4):
        item = dataset[index]
        assert_type(item, tuple, "樣本")
        assert_equal(len(item), 2, "樣本的項數")
        assert_shape(item[0], (3,), "特徵")
        assert_dtype(item[0], "float32", "特徵")
        assert_type(item[1], int, "標籤")


@pytest.mark.numeric
@pytest.mark.parametrize("position", [0, 2, 4], ids=["first", "middle", "last"])
def test_iris(submission, tmp_path, rng, position):
    """鳶尾花的特徵：標籤在第一欄、中間、最後"""
    header, rows = iris()
    order = [c for c in rng.permutation(5).tolist() if c != 2]
    names, expected = [header[c] for c in order], torch.tensor([[float(row[c]) for c in order] for row in rows])
    order.insert(position, 2)
    path = write(tmp_path / "iris.csv", *[[row[c] for c in order] for row in (header, *rows)])
    dataset = submission.CsvDataset(str(path), "species")
    assert_equal(list(dataset.feature_names), names, "feature_names")
    assert_close(contents(dataset, 150)[0], expected, what="特徵")


@pytest.mark.numeric
def test_label_is_no_feature(submission, tmp_path, cells):
    """標籤是數字時也不在特徵裡"""
    rows = cells(7, 3)
    path = write(tmp_path / "table.csv", ["mass", "grade", "age"], *rows)
    expected = torch.tensor([[float(a), float(c)] for a, _, c in rows])
    dataset = submission.CsvDataset(path, "grade")
    assert_close(contents(dataset, 7)[0], expected, what="特徵")
    assert_equal(list(dataset.feature_names), ["mass", "age"], "feature_names")


@pytest.mark.numeric
def test_classes(submission):
    """鳶尾花的類別已排序，標籤是它的位置"""
    names = ["setosa", "versicolor", "virginica"]
    expected = [names.index(row[2]) for row in iris()[1]]
    dataset = submission.CsvDataset(fixture("iris.csv"), "species")
    labels = contents(dataset, 150)[1]
    check(labels == expected, f"前 8 個標籤應為 {expected[:8]}，得到 {labels[:8]}", labels)
    assert_equal(list(dataset.classes), names, "classes")


@pytest.mark.numeric
def test_classes_as_strings(submission, tmp_path, cells):
    """類別以字串排序，是數字時也一樣"""
    grades = ["9", "10", "2", "10", "-1", "9"]
    path = write(
        tmp_path / "table.csv", ["grade", "x"], *[[grade, x] for grade, [x] in zip(grades, cells(6, 1), strict=True)]
    )
    dataset = submission.CsvDataset(path, "grade")
    assert_equal(list(dataset.classes), ["-1", "10", "2", "9"], "classes")
    assert_equal(contents(dataset, 6)[1], [3, 1, 2, 1, 0, 3], "標籤")


@pytest.mark.numeric
def test_quotes(submission, tmp_path, cells):
    """雙引號裡的逗號不是分隔；文字是 UTF-8"""
    rows = cells(6, 2)
    kinds = ["Taipei, Taiwan", 'the "old" town', "Taipei", "臺北", "Taipei, Taiwan", "臺南"]
    full = [(rain, kind, wind) for (rain, wind), kind in zip(rows, kinds, strict=True)]
    path = write(tmp_path / "table.csv", ["rain, mm", "place", "wind"], *full)
    dataset = submission.CsvDataset(path, "place")
    assert_equal(list(dataset.feature_names), ["rain, mm", "wind"], "feature_names")
    assert_equal(list(dataset.classes), ["Taipei", "Taipei, Taiwan", 'the "old" town', "臺北", "臺南"], "classes")
    features, labels = contents(dataset, 6)
    assert_equal(labels, [1, 2, 0, 3, 1, 4], "標籤")
    assert_close(features, torch.tensor([[float(cell) for cell in row] for row in rows]), what="特徵")


@pytest.mark.numeric
def test_blank_lines(submission, tmp_path, cells):
    """空行不是樣本"""
    rows = cells(5, 2)
    path = write(tmp_path / "table.csv", "xy", *rows[:2], [], *rows[2:], [], [])
    expected = torch.tensor([[float(x)] for x, _ in rows])
    assert_close(contents(submission.CsvDataset(path, "y"), 5)[0], expected, what="特徵")


@pytest.mark.behaviour
def test_unknown_column(submission):
    """沒有那一欄：ValueError"""
    with raises(ValueError, "colour"):
        submission.CsvDataset(fixture("iris.csv"), "colour")


@pytest.mark.behaviour
def test_no_samples(submission, tmp_path):
    """檔案是空的或只有欄名：ValueError"""
    for path, rows in ((tmp_path / "empty.csv", []), (tmp_path / "header-only.csv", [["x", "kind"]])):
        write(path, *rows)
        with raises(ValueError, path.name):
            submission.CsvDataset(path, "kind")


@pytest.mark.behaviour
def test_not_a_number(submission, tmp_path, rng):
    """不是數字的格子：ValueError 說出行號與欄名"""
    for cell in ("oops", ""):
        header, rows = iris()
        number, column = rng.integer(60, 140), rng.choice([0, 1, 3, 4])
        rows[number][column] = cell
        rows[40:40] = [[], []]
        line = number + 4  # 欄名一行、空行兩行，行號從 1 數
        path, said = write(tmp_path / "iris.csv", header, *rows), []
        with raises(ValueError, header[column]):
            try:
                submission.CsvDataset(path, "species")
            except ValueError as error:
                said.append(str(error).replace(str(path), ""))
                raise
        numbers = [int(figure) for figure in re.findall(r"\d+", said[0])]
        check(line in numbers, f"{cell!r} 在檔案的第 {line} 行，訊息卻是「{said[0][:200]}」", numbers)


# ── make_loaders ──


@pytest.mark.shape
def test_batch_sizes(submission, samples):
    """驗證有 round(n * val_fraction) 個樣本，batch 依 batch_size 切"""
    table = [(key, n % 3) for n, (key, _) in enumerate(samples)]  # 分層抽樣時，只有一個樣本的類別分不成兩份
    for n, fraction, n_val in ((14, 0.4, 6), (11, 0.3, 3), (18, 0.25, 4), (7, 0.0, 0)):
        loaders = submission.make_loaders(table[:n], 3, val_fraction=fraction, seed=5)
        assert_type(loaders, tuple, "回傳值")
        assert_equal(len(loaders), 2, "回傳值的項數")
        for name, loader, count in zip(("訓練", "驗證"), loaders, (n - n_val, n_val), strict=True):
            assert_type(loader, torch.utils.data.DataLoader, f"{name}的 loader")
            whole, rest = divmod(count, 3)
            what = f"{n} 個樣本、val_fraction = {fraction}，{name}的 batch 大小"
            assert_equal([len(x) for x, _ in loader], [3] * whole + [rest] * (rest > 0), what)


@pytest.mark.behaviour
def test_disjoint_and_complete(submission, samples, rng):
    """訓練加驗證恰好是每個樣本一次，標籤跟著樣本"""
    expected = sorted((key.item(), label) for key, label in samples)
    train, val = submission.make_loaders(samples, 8, val_fraction=0.3, seed=rng.seed())
    for number in (1, 2):
        batches = [*train, *val]
        keys, labels = (torch.cat([batch[part].flatten() for batch in batches]).tolist() for part in (0, 1))
        distinct = len(set(keys))
        check(
            len(keys) == distinct == 60,
            f"第 {number} 個 epoch 訓練與驗證合起來有 {len(keys)} 個樣本，其中 {distinct} 個不同；應是 60 個各一次",
            keys,
        )
        check(sorted(zip(keys, labels, strict=True)) == expected, "標籤沒有跟著樣本", [keys, labels])


@pytest.mark.behaviour
def test_repeatable(submission, samples, rng):
    """同一個 seed 切法與訓練的順序都相同；預設是 0.2 與 0"""
    seed = rng.seed()
    for given, same in (({"seed": seed}, {"seed": seed}), ({}, {"val_fraction": 0.2, "seed": 0})):
        first = submission.make_loaders(samples, 7, **given)
        one = [epoch(loader) for loader in (*first, first[0])]
        torch.manual_seed(rng.seed())
        second = submission.make_loaders(samples, 7, **same)
        two = [epoch(loader) for loader in (*second, second[0])]
        for what, a, b in zip(("第一個 epoch 的訓練順序", "驗證", "第二個 epoch 的訓練順序"), one, two, strict=True):
            check(torch.equal(a, b), f"以 {given} 與 {same} 各建立一次，{what}不同", [*one, *two])


@pytest.mark.behaviour
def test_other_seed(submission, samples, rng):
    """不同的 seed 切法不同"""
    seed = rng.seed()
    vals = [epoch(submission.make_loaders(samples, 7, seed=s)[1]).sort().values for s in (seed, seed + 1, seed + 2)]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        # 60 個選 12 個，碰巧相同的機會小於 1e-10
        check(not torch.equal(vals[a], vals[b]), f"seed {seed + a} 與 {seed + b} 的驗證集相同", vals)


@pytest.mark.behaviour
def test_train_shuffled(submission, samples, rng):
    """訓練每個 epoch 重新打亂"""
    train, _ = submission.make_loaders(samples, 7, seed=rng.seed())
    orders = [epoch(train) for _ in range(3)]
    for a, b in ((0, 1), (1, 2), (0, 2)):
        check(not torch.equal(orders[a], orders[b]), f"第 {a + 1} 與第 {b + 1} 個 epoch 的訓練順序相同", orders)


@pytest.mark.behaviour
def test_validation_not_shuffled(submission, samples, rng):
    """驗證的順序固定"""
    _, val = submission.make_loaders(samples, 7, val_fraction=0.4, seed=rng.seed())
    orders = [epoch(val) for _ in range(2)]
    check(torch.equal(*orders), "驗證的兩個 epoch 順序不同：只有訓練才打亂", orders)


@pytest.mark.behaviour
def test_global_random_state(submission, samples, rng):
    """make_loaders 不碰全域亂數"""
    with same_random_state():
        submission.make_loaders(samples, 7, seed=rng.seed())
