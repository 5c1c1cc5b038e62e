"""017 · 將 COCO 格式的數據集轉換為 PyTorch 支持的格式

題目
    COCO 的標註是一個 JSON 檔，有三張表，以 id 互相指：

        images       id、file_name、width、height
        categories   id、name
        annotations  image_id、category_id、bbox = [x, y, 寬, 高]、area、iscrowd（可能沒有）

    寫一個 Dataset，給出 torchvision 偵測模型要的 (image, target)。幾個容易弄錯的地方：模型要的框是
    x1 y1 x2 y2，不是 x y 寬 高；category id 不連續（COCO 的 80 類編號到 90），不能直接當 label；
    label 0 是背景，類別從 1 開始；area 是輪廓的面積，不是寬乘高；標註不照圖片排，一張圖也可能一個都沒有。

介面
    CocoDataset(annotation_file, image_dir, transform=None)
        annotation_file 是 UTF-8 的 JSON，圖片是 image_dir 底下的 file_name。樣本依 images 的次序，沒有標註的圖也算。
        classes 是類別名稱的 list[str]，依 category id 由小到大，沒有用到的也在內；
        classes[k − 1] 是 label k 的名稱。
    dataset[i] -> (image, target)
        image 是 RGB 的 PIL 影像；有 transform 時是 transform(image)，target 不經過它。
        target 是 dict，n 個標註依檔案的次序，寬或高 <= 0 的框不要：
            boxes     float32 (n, 4)，x1 y1 x2 y2；n = 0 時是 (0, 4)
            labels    int64 (n,)，1 到 K
            image_id  圖片的 id，int 或一個元素的張量
            area      float32 (n,)，檔案裡的值
            iscrowd   int64 (n,)，檔案沒寫就是 0；為 1 的標註也保留
        標註只整理一次（在 __init__，或第一次用到時），不要每取一張圖就把全部標註掃一遍。

評分
    形狀  各個張量的形狀與 dtype；沒有標註、只有退化框的圖也是
    數值  樣本的次序、影像的像素與模式（灰階、調色盤、透明的檔案也要變成 RGB）；
          boxes、labels 與 classes、image_id、area、iscrowd
    行為  丟掉退化的框；transform 只收影像；同一個樣本取兩次結果相同；torchvision 的 Faster R-CNN 收得下
    速度  2,000 張圖、20,000 個標註時取樣本，不超過參考解的 6.5 倍時間
    禁用  pycocotools、torchvision.datasets.CocoDetection

範例
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (20, 10)).save(folder / "a.png")
    >>> coco = {
    ...     "images": [{"id": 7, "file_name": "a.png", "width": 20, "height": 10}],
    ...     "categories": [{"id": 90, "name": "kite"}, {"id": 3, "name": "boat"}],
    ...     "annotations": [{"id": 1, "image_id": 7, "category_id": 90, "bbox": [2, 1, 5, 4], "area": 12.5}],
    ... }
    >>> _ = (folder / "coco.json").write_text(json.dumps(coco), encoding="utf-8")
    >>> dataset = CocoDataset(folder / "coco.json", folder)
    >>> dataset.classes
    ['boat', 'kite']
    >>> image, target = dataset[0]
    >>> image.mode, target["boxes"], target["labels"]
    ('RGB', tensor([[2., 1., 7., 5.]]), tensor([2]))

面試追問
    1. 每張圖的框數不同，DataLoader 的 collate_fn 該怎麼寫？
    2. 水平翻轉時框要怎麼跟著變？隨機裁切之後呢？
    3. iscrowd 為 1 的框在訓練與計算 AP 時各怎麼處理？
"""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset


class CocoDataset(Dataset):
    def __init__(self, annotation_file: str | Path, image_dir: str | Path, transform: Callable | None = None) -> None:
        raise NotImplementedError("TODO 017")

    def __len__(self) -> int:
        raise NotImplementedError("TODO 017")

    def __getitem__(self, index: int) -> tuple[Any, dict[str, Tensor | int]]:
        """-> 影像、target。"""
        raise NotImplementedError("TODO 017")
