"""011 · another style: pathlib, a named tuple for an item, the file's bytes read first."""

import io
from collections import namedtuple
from pathlib import Path

from PIL import Image
from torch.utils.data import Dataset

Sample = namedtuple("Sample", "image label")


class ImageLabelDataset(Dataset):
    def __init__(self, image_dir, label_file, transform=None):
        self.folder = Path(image_dir)
        self.transform = transform
        self.names, self.labels = [], []
        for number, line in enumerate(Path(label_file).read_text(encoding="utf-8").splitlines(), start=1):
            words = line.split()
            if not words or words[0][0] == "#":
                continue
            if len(words) == 1:
                raise ValueError(f"line {number}: no label: {line}")
            try:
                label = int(words[-1])
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
            self.labels.append(label)
            self.names.append(line.strip().removesuffix(words[-1]).strip())

    def __len__(self):
        return len(self.names)

    def __getitem__(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} out of range")
        image = Image.open(io.BytesIO((self.folder / self.names[index]).read_bytes()))
        image = image.convert("RGB")
        if self.transform is not None:
            image = self.transform(image)
        return Sample(image, self.labels[index])
