"""011 · 從本地文件加載圖像和標籤的 Dataset：參考解"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import Dataset


class ImageLabelDataset(Dataset):
    def __init__(
        self, image_dir: str | Path, label_file: str | Path, transform: Callable[[Image.Image], Any] | None = None
    ) -> None:
        self.image_dir, self.transform = Path(image_dir), transform
        self.samples: list[tuple[str, int]] = []
        with open(label_file, encoding="utf-8") as lines:
            for number, raw in enumerate(lines, 1):
                line = raw.strip()
                if not line or line.startswith("#"):
                    continue
                try:
                    name, label = line.rsplit(maxsplit=1)  # 從右邊切一刀：檔名裡的空白原封不動
                    self.samples.append((name, int(label)))
                except ValueError:
                    raise ValueError(f"第 {number} 行應為「檔名 整數標籤」，得到 {line!r}") from None

    def __len__(self) -> int:
        """樣本數。"""
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """-> (RGB 的 PIL 影像，或 transform 的結果, 標籤)。"""
        name, label = self.samples[index]
        # Image.open 只讀檔頭，檔案一直開著，到讀像素時才關；convert 讀完像素，with 保證關檔。
        with Image.open(self.image_dir / name) as file:
            image = file.convert("RGB")
        return image if self.transform is None else self.transform(image), label
