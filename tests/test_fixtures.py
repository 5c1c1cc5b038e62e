"""The data of fixtures/: that it is what was committed, small, made again alike, and read by its own readers."""

import csv
import hashlib
import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from torch_kata.checks import NotRunHere, fixture

spec = importlib.util.spec_from_file_location("build_fixtures", fixture("build.py"))
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    build.build(folder)
    return folder


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the fixtures that the program takes for its own."""
    folder = shutil.copytree(fixture(), tmp_path / "fixtures", ignore=shutil.ignore_patterns("stubs", "__pycache__"))
    monkeypatch.setattr(build, "FOLDER", folder)
    return folder


def load_json(name):
    return json.loads(fixture(name).read_text(encoding="utf-8"))


def test_every_file_agrees_with_its_checksum():
    assert build.problems() == []


def test_the_data_stay_under_5_mb():
    own = [path for path in fixture().rglob("*") if path.is_file() and "stubs" not in path.parts]
    assert sum(path.stat().st_size for path in own) < 5_000_000


def test_building_again_gives_the_same_bytes(built, tmp_path):
    build.build(tmp_path)
    assert build.digests(tmp_path) == build.digests(built)


def test_the_same_versions_make_the_committed_files(built):
    versions, known = build.recorded()
    found = build.digests(built)
    assert found.keys() == known.keys() - set(build.SOURCES)
    if versions.partition(", ")[2] == build.versions().partition(", ")[2]:
        assert found.items() <= known.items()


def test_check_names_what_is_missing_changed_or_unknown(copy, capsys):
    assert build.main(["--check"]) == 0
    (copy / "iris.csv").unlink()
    (copy / "photos" / "佛香閣.jpg").write_bytes(b"x")
    (copy / "extra.txt").write_text("x")
    capsys.readouterr()
    assert build.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "缺少 iris.csv",
        "內容不同 photos/佛香閣.jpg",
        "沒有登記 extra.txt",
    ]


def test_a_build_mends_what_is_missing_or_damaged_and_leaves_the_rest(copy, capsys):
    (copy / "iris.csv").unlink()
    (copy / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").write_bytes(b"")
    untouched = (copy / "photos" / "pagoda.jpg").stat().st_mtime_ns
    assert build.main([]) == 0
    made = [line for line in capsys.readouterr().out.splitlines() if line.startswith("已產生")]
    assert made == ["已產生 MNIST/raw/t10k-labels-idx1-ubyte", "已產生 iris.csv"]
    assert build.problems() == []
    assert (copy / "photos" / "pagoda.jpg").stat().st_mtime_ns == untouched


def test_a_build_says_when_its_bytes_are_not_the_committed_ones(copy, capsys):
    checksums = (copy / "checksums.txt").read_text(encoding="utf-8")
    digest = build.recorded()[1]["photos/labels.txt"]
    (copy / "checksums.txt").write_text(checksums.replace(digest, "0" * 64), encoding="utf-8")
    assert build.main([]) == 1
    said = capsys.readouterr().out
    assert "photos/labels.txt 的位元組與版本庫裡的不同" in said and "git checkout" in said


def test_a_build_speaks_to_an_ascii_terminal(copy):
    (copy / "photos" / "佛香閣.jpg").unlink()
    result = subprocess.run(
        [sys.executable, copy / "build.py", "--check"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    assert result.returncode == 1 and b"photos/" in result.stdout and not result.stderr


def test_a_missing_fixture_names_the_program_that_makes_it():
    with pytest.raises(NotRunHere, match="fixtures/no-such.csv.*python fixtures/build.py"):
        fixture("no-such.csv")


def test_photos_come_in_four_modes_and_are_all_labelled():
    lines = [line.strip() for line in fixture("photos/labels.txt").read_text(encoding="utf-8").splitlines()]
    labels = dict(line.rsplit(maxsplit=1) for line in lines if line and not line.startswith("#"))
    images = {path.name: Image.open(path) for path in fixture("photos").iterdir() if path.suffix != ".txt"}
    assert labels.keys() == images.keys()
    assert Counter(image.mode for image in images.values()) == {"RGB": 5, "RGBA": 1, "P": 1, "L": 1}
    assert len({image.size for image in images.values()}) == len(images) == 8
    assert all(image.width != image.height and np.asarray(image.convert("RGB")).std() > 20 for image in images.values())
    assert any(" " in name for name in images) and any(not name.isascii() for name in images)


@pytest.fixture
def cifar10(monkeypatch):
    from torchvision.datasets import CIFAR10

    folder = fixture("cifar-10-batches-py")

    def md5(name):
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    for parts in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, parts, [[name, md5(name)] for name, _ in getattr(CIFAR10, parts)])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": md5("batches.meta")})
    return CIFAR10


def test_torchvision_reads_the_cifar10_files(cifar10):
    train, test = cifar10(fixture(), train=True), cifar10(fixture(), train=False)
    assert (train.data.shape, test.data.shape) == ((100, 32, 32, 3), (20, 32, 32, 3))
    assert Counter(train.targets) == dict.fromkeys(range(10), 10)
    assert Counter(test.targets) == dict.fromkeys(range(10), 2)
    assert len(set(train.classes)) == 10 and train.targets[:20] != sorted(train.targets[:20])
    image, label = train[0]
    assert (image.mode, image.size, train.classes[label]) == ("RGB", (32, 32), "balcony")


def test_no_two_cifar10_images_look_alike(cifar10):
    images = np.concatenate([cifar10(fixture(), train=train).data for train in (True, False)])
    flat = images.reshape(len(images), -1).astype(np.float64)
    assert flat.std(axis=1).min() > 20
    apart = [np.sqrt(((flat[:i] - row) ** 2).mean(axis=1)).min() for i, row in enumerate(flat) if i]
    assert min(apart) > 25


def test_cifar10_files_read_as_those_of_python_2():
    for encoding, key in (("bytes", b"data"), ("latin1", "data")):
        with fixture("cifar-10-batches-py/data_batch_3").open("rb") as file:
            batch = pickle.load(file, encoding=encoding)
        assert batch[key].shape == (20, 3072) and len(batch) == 4


def test_torchvision_reads_the_mnist_files():
    from torchvision.datasets import MNIST

    train, test = MNIST(fixture(), train=True), MNIST(fixture(), train=False)
    assert (tuple(train.data.shape), tuple(test.data.shape)) == ((1000, 28, 28), (200, 28, 28))
    assert {*train.targets.tolist()} == {*test.targets.tolist()} == set(range(10))
    assert (train.data.min(), train.data.max()) == (0, 255)
    images = [image.numpy().tobytes() for part in (train, test) for image in part.data]
    assert len(set(images)) == 1200


def test_coco_holds_every_oddity():
    coco = load_json("coco/annotations.json")
    images = {image["id"]: image for image in coco["images"]}
    ids = [category["id"] for category in coco["categories"]]
    annotations = coco["annotations"]
    assert list(images) != sorted(images) and ids != sorted(ids) and max(ids) > len(ids) == 5
    assert set(ids) - {a["category_id"] for a in annotations} == {11}
    assert images.keys() - {a["image_id"] for a in annotations} == {15}
    assert all(a["image_id"] in images and a["category_id"] in ids for a in annotations)
    assert len({a["id"] for a in annotations}) == len(annotations) == 14
    order = [a["image_id"] for a in annotations]
    assert any(order[i] != order[i + 1] and order[i] in order[i + 2 :] for i in range(len(order) - 2))
    for image in images.values():
        with Image.open(fixture("coco/images") / image["file_name"]) as file:
            assert file.size == (image["width"], image["height"])
    proper = [a for a in annotations if a["bbox"][2] > 0 and a["bbox"][3] > 0]
    assert len(proper) == 10
    for a in proper:
        (x, y, w, h), image = a["bbox"], images[a["image_id"]]
        assert x >= 0 and y >= 0 and x + w <= image["width"] and y + h <= image["height"]
        assert 0 < a["area"] < w * h
    flags = Counter((a in proper, a.get("iscrowd")) for a in annotations)
    assert flags == {(True, 0): 6, (True, 1): 2, (True, None): 2, (False, 0): 2, (False, None): 2}


def test_run_lengths_of_crowds_fill_their_boxes():
    for a in load_json("coco/annotations.json")["annotations"]:
        if a.get("iscrowd"):
            counts, (height, width) = a["segmentation"]["counts"], a["segmentation"]["size"]
            mask = np.repeat(np.arange(len(counts)) % 2, counts).reshape(width, height).T
            ys, xs = np.nonzero(mask)
            assert mask.sum() == a["area"]
            assert a["bbox"] == [xs.min(), ys.min(), xs.max() + 1 - xs.min(), ys.max() + 1 - ys.min()]


def test_tables_hold_what_scikit_learn_holds():
    from sklearn.datasets import load_diabetes, load_iris

    with fixture("iris.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    species = [row["species"] for row in rows]
    assert Counter(species) == {"setosa": 50, "versicolor": 50, "virginica": 50}
    assert list(dict.fromkeys(species)) == ["virginica", "setosa", "versicolor"]
    assert list(rows[0]).index("species") == 2
    found = sorted([*(float(v) for k, v in row.items() if k != "species"), row["species"]] for row in rows)
    iris = load_iris()
    expected = zip(iris.data.tolist(), iris.target_names[iris.target].tolist(), strict=True)
    assert found == sorted([*numbers, name] for numbers, name in expected)

    header, *lines = fixture("diabetes.csv").read_text(encoding="utf-8").splitlines()
    data = load_diabetes(scaled=False)
    assert header.split(",") == [*data.feature_names, "progression"]
    numbers = np.array([line.split(",") for line in lines], dtype=np.float64)
    np.testing.assert_allclose(numbers, np.column_stack([data.data, data.target]), rtol=0, atol=1e-12)


def test_the_recording_of_torchtext_belongs_to_the_corpus():
    record = load_json("torchtext/vocab.json")
    lines = fixture("corpus.txt").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == "" and lines == "\n".join(lines).splitlines()
    assert len(lines) == len(record["tokens"]["corpus"]) == 195
    words = Counter(word for line in record["tokens"]["corpus"] for word in line)
    plain = record["vocabs"][0]
    assert plain["itos"] == ["<unk>"] + sorted(words.keys() - {"<unk>"}, key=lambda word: (-words[word], word))
    assert record["ran_with"]["torchtext"] == "0.18.0"
    assert len(record["basic_english"]) == 210
