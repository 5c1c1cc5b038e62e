"""017 · COCO 的標註變成 Dataset：參考解"""

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
        with open(annotation_file, encoding="utf-8") as file:
            coco = json.load(file)
        self.image_dir, self.transform = Path(image_dir), transform
        self.images = coco["images"]
        categories = sorted(coco["categories"], key=lambda category: category["id"])
        self.classes = [category["name"] for category in categories]
        self.label = {category["id"]: k for k, category in enumerate(categories, 1)}  # 0 是背景
        # 先依圖片分好：取一張圖時不必再掃全部的標註。
        self.annotations = defaultdict(list)
        for annotation in coco["annotations"]:
            _, _, width, height = annotation["bbox"]
            if width > 0 and height > 0:
                self.annotations[annotation["image_id"]].append(annotation)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, dict[str, Tensor | int]]:
        """-> 影像、target。"""
        info = self.images[index]
        with Image.open(self.image_dir / info["file_name"]) as file:
            image = file.convert("RGB")
        found = self.annotations.get(info["id"], [])
        # 沒有標註時 torch.tensor([]) 是 (0,)，模型要 (0, 4)。
        boxes = torch.tensor([a["bbox"] for a in found], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        target = {
            "boxes": boxes,
            "labels": torch.tensor([self.label[a["category_id"]] for a in found], dtype=torch.int64),
            "image_id": info["id"],
            "area": torch.tensor([a["area"] for a in found], dtype=torch.float32),
            "iscrowd": torch.tensor([a.get("iscrowd", 0) for a in found], dtype=torch.int64),
        }
        return (self.transform(image) if self.transform else image), target
