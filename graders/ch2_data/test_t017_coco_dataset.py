"""017 · COCO 的標註變成 Dataset：評分"""

import json
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_finite,
    assert_shape,
    assert_type,
    assert_within_budget,
    check,
    fail,
    fixture,
    forbid,
    nn,
    np,
    torch,
)

pytestmark = forbid("pycocotools", "torchvision.datasets.CocoDetection")

KINDS = {"boxes": "float32", "labels": "int64", "area": "float32", "iscrowd": "int64"}


def truth(coco):
    """classes 與每張圖的 target，逐字照定義。"""
    ids = sorted(category["id"] for category in coco["categories"])
    names = {category["id"]: category["name"] for category in coco["categories"]}
    targets = []
    for image in coco["images"]:
        mine = [a for a in coco["annotations"] if a["image_id"] == image["id"]]
        mine = [a for a in mine if a["bbox"][2] > 0 and a["bbox"][3] > 0]
        corners = [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in mine)]
        targets.append(
            {
                "boxes": torch.tensor(corners, dtype=torch.float64).reshape(-1, 4),
                "labels": torch.tensor([1 + ids.index(a["category_id"]) for a in mine], dtype=torch.int64),
                "image_id": image["id"],
                "area": torch.tensor([a["area"] for a in mine], dtype=torch.float64),
                "iscrowd": torch.tensor([a.get("iscrowd", 0) for a in mine], dtype=torch.int64),
            }
        )
    return [names[i] for i in ids], targets


def random_coco(folder, rng):
    """亂數的圖片與標註：灰階、調色盤、透明的檔案；id 不連續也不照順序；同一張圖的標註不相鄰。"""
    from PIL import Image

    ids = (10 * (1 + rng.permutation(60)[:5]) + 1).sort().values[[3, 0, 4, 1, 2]].tolist()
    kinds = (3 + torch.arange(4) * 10 + rng.integers(0, 9, (4,)).cpu())[[2, 0, 3, 1]].tolist()
    images = []
    for number, (key, mode) in enumerate(zip(ids, ("RGB", "L", "P", "RGBA", "RGB"), strict=True)):
        width, height = 16 + 3 * number, 30 - 2 * number
        pixels = Image.fromarray(rng.numpy.integers(0, 256, (height, width, 3), dtype=np.uint8))
        pixels.convert(mode).save(folder / f"圖 {number}.png")
        images.append({"id": key, "file_name": f"圖 {number}.png", "width": width, "height": height})
    annotations = []
    # 第 3 張圖只有退化的框，類別 1 沒有用到；None 是沒寫 iscrowd；第 4 張圖的第一個框比一個像素還小，也要留著。
    for number, (image, kind, crowd) in enumerate(
        [(0, 3, 0), (1, 0, None), (0, 2, 1), (4, 3, None), (2, 0, 0), (1, 2, 0), (0, 3, None), (2, 3, 1), (4, 0, 0)]
    ):
        x, y, w, h = (round(v, 2) for v in rng.uniform((4,), 1, 7, dtype="float64").tolist())
        w, h = (round(w / 10, 2), round(h / 10, 2)) if number == 3 else (w, h)
        entry = {"id": 5 * number + 2, "image_id": ids[image], "category_id": kinds[kind], "bbox": [x, y, w, h]}
        entry |= {"area": round(rng.integer(20, 70) / 100 * w * h, 2)} | ({} if crowd is None else {"iscrowd": crowd})
        annotations.append(entry)
    for number, size in enumerate([(0, 3), (4, -1), (0, 0), (-2, -2.5)]):
        entry = {"id": 5 * number + 3, "image_id": ids[number], "category_id": kinds[0], "bbox": [5, 6, *size]}
        annotations.insert(2 * number, entry | {"area": 0.0, "iscrowd": 0})
    names = [{"id": key, "name": name} for key, name in zip(kinds, ("wheel", "apple", "船", "kite"), strict=True)]
    return {"images": images, "annotations": annotations, "categories": names}


@pytest.fixture
def cocos(submission, tmp_path, rng):
    """真實與亂數的資料：標註、圖片的位置、答案的 dataset、真值。"""
    (tmp_path / "annotations.json").write_text(json.dumps(random_coco(tmp_path, rng), ensure_ascii=False), "utf-8")
    found = []
    for file, folder in (
        (fixture("coco/annotations.json"), fixture("coco/images")),
        (tmp_path / "annotations.json", tmp_path),
    ):
        coco = json.loads(file.read_text(encoding="utf-8"))
        classes, targets = truth(coco)
        dataset = submission.CocoDataset(file, folder)
        found.append(SimpleNamespace(coco=coco, folder=folder, dataset=dataset, classes=classes, targets=targets))
    return found


def targets(coco):
    """答案的每個 target。"""
    assert_equal(len(coco.dataset), len(coco.targets), "len(dataset)")
    found = [coco.dataset[index][1] for index in range(len(coco.targets))]
    for target in found:
        assert_type(target, dict, "target")
        missing = [key for key in ("image_id", *KINDS) if key not in target]
        check(not missing, f"target 缺少 {'、'.join(missing)}", missing)
    return found


def assert_parts(cocos, key):
    """每張圖的 target[key] 都對。"""
    for coco in cocos:
        expected = [target[key] for target in coco.targets]
        assert_close([target[key] for target in targets(coco)], expected, what=f"各張圖的 {key} ")


def many_annotations(folder, images, annotations, rng):
    """許多張圖（同一個 8x8 的 PNG）的標註檔與圖片的位置；同一張圖的標註不相鄰。"""
    from PIL import Image

    Image.new("RGB", (8, 8), (90, 120, 200)).save(folder / "tile.png")
    owners = (rng.permutation(annotations) % images).tolist()
    boxes = rng.uniform((annotations, 4), 1, 4).tolist()
    coco = {
        "images": [{"id": i, "file_name": "tile.png", "width": 8, "height": 8} for i in range(images)],
        "categories": [{"id": 1 + i, "name": str(i)} for i in range(5)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 1 + n % 5, "bbox": box, "area": 2.5, "iscrowd": 0}
            for n, (i, box) in enumerate(zip(owners, boxes, strict=True))
        ],
    }
    (folder / "annotations.json").write_text(json.dumps(coco), "utf-8")
    return folder / "annotations.json", folder


@pytest.mark.shape
def test_shapes(cocos):
    """各個張量的形狀與 dtype，沒有標註的圖也是"""
    for coco in cocos:
        for target, expected in zip(targets(coco), coco.targets, strict=True):
            for key, kind in KINDS.items():
                what = f"圖 {expected['image_id']} 的 {key} "
                assert_shape(target[key], expected[key].shape, what)
                assert_dtype(target[key], kind, what)


@pytest.mark.numeric
def test_images(cocos):
    """樣本依 images 的次序，影像是 RGB"""
    from PIL import Image

    for coco in cocos:
        assert_equal(len(coco.dataset), len(coco.targets), "len(dataset)")
        for index, entry in enumerate(coco.coco["images"]):
            with Image.open(coco.folder / entry["file_name"]) as file:
                expected = torch.from_numpy(np.array(file.convert("RGB")))
            image = coco.dataset[index][0]
            assert_type(image, Image.Image, f"第 {index} 張影像")
            check(image.mode == "RGB", f"{entry['file_name']} 的模式應為 RGB，得到 {image.mode}", image.mode)
            assert_equal(torch.from_numpy(np.array(image)), expected, f"第 {index} 張影像（{entry['file_name']}）")


@pytest.mark.numeric
def test_boxes(cocos):
    """boxes 是 x1 y1 x2 y2"""
    assert_parts(cocos, "boxes")


@pytest.mark.numeric
def test_labels(cocos):
    """labels 依 category id 由小到大編為 1 到 K"""
    assert_parts(cocos, "labels")


@pytest.mark.numeric
def test_classes(cocos):
    """classes[k − 1] 是 label k 的名稱"""
    for coco in cocos:
        assert_equal(list(coco.dataset.classes), coco.classes, "classes")


@pytest.mark.numeric
def test_image_id(cocos):
    """image_id 是圖片的 id"""
    for coco in cocos:
        for index, (target, expected) in enumerate(zip(targets(coco), coco.targets, strict=True)):
            found, wanted = int(target["image_id"]), expected["image_id"]
            check(found == wanted, f"第 {index} 張圖的 image_id 應為 {wanted}，得到 {found}", found)


@pytest.mark.numeric
def test_area(cocos):
    """area 是檔案裡的值"""
    assert_parts(cocos, "area")


@pytest.mark.numeric
def test_iscrowd(cocos):
    """iscrowd 沒寫就是 0"""
    assert_parts(cocos, "iscrowd")


@pytest.mark.behaviour
def test_degenerate_boxes(cocos):
    """寬或高 <= 0 的框不要，其餘的都在"""
    found = [len(target["boxes"]) for coco in cocos for target in targets(coco)]
    expected = [len(target["boxes"]) for coco in cocos for target in coco.targets]
    check(found == expected, f"各張圖的框數應為 {expected}，得到 {found}", found)


@pytest.mark.behaviour
def test_transform(submission, cocos):
    """transform 只收影像，target 不變"""
    seen = []

    def transform(*arguments):
        seen.append([type(argument).__name__ for argument in arguments])
        return arguments[0].size

    dataset = submission.CocoDataset(
        str(fixture("coco/annotations.json")), str(fixture("coco/images")), transform=transform
    )
    image, target = dataset[2]
    check(seen == [["Image"]], f"transform 應收到一個 PIL 影像，呼叫了 {len(seen)} 次，收到 {seen}", seen)
    assert_equal(image, (320, 357), "transform(image) ")
    assert_close(target["boxes"], cocos[0].targets[2]["boxes"], what="boxes ")


@pytest.mark.behaviour
def test_twice(cocos):
    """同一個樣本取兩次，結果相同"""
    for coco in cocos:
        for _ in range(2):
            target = coco.dataset[0][1]
        assert_close(target["boxes"], coco.targets[0]["boxes"], what="第二次的 boxes ")


@pytest.mark.behaviour
def test_detection_model(submission):
    """torchvision 的 Faster R-CNN 收得下"""
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.rpn import AnchorGenerator
    from torchvision.transforms.functional import to_tensor

    backbone = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU())
    backbone.out_channels = 4
    anchors = AnchorGenerator(((16, 32),), ((1.0,),))
    model = FasterRCNN(backbone, num_classes=6, min_size=64, max_size=96, rpn_anchor_generator=anchors).train()
    dataset = submission.CocoDataset(fixture("coco/annotations.json"), fixture("coco/images"), transform=to_tensor)
    images, found = zip(*[dataset[index] for index in range(6)], strict=True)
    try:
        losses = model(list(images), list(found))
    except Exception as error:
        fail(f"Faster R-CNN 不收：{type(error).__name__}: {str(error)[:200]}", f"refused {type(error).__name__}")
    assert_finite(*losses.values(), what="損失")


@pytest.mark.speed
def test_speed(submission, reference, tmp_path, rng):
    """取樣本的速度"""
    # 參考解 1；先做好全部 target 0.3；排序後二分、逐框建張量 1.2；每框各自 box_convert 再疊起來 3.4；
    # 每取一張圖掃過全部標註 12 至 16。
    files = many_annotations(tmp_path, 2_000, 20_000, rng)

    def read(module):
        dataset = module.CocoDataset(*files)
        return lambda *indices: torch.cat([dataset[index][1]["boxes"] for index in indices])

    def inputs():
        return tuple(rng.integers(0, 2_000, (8,)).tolist())

    assert_within_budget(read(submission), read(reference), inputs, factor=6.5, gate=False)
