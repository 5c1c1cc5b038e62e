"""011 · another style: os.path, partition from the right by a regular expression, two lists."""

import os
import re

import torch
from PIL import Image


class ImageLabelDataset(torch.utils.data.Dataset):
    LINE = re.compile(r"(\S.*?)\s+([+-]?\d+)")

    def __init__(self, image_dir, label_file, transform=None):
        super().__init__()
        self.paths, self.labels = [], []
        self.transform = transform
        text = open_text(label_file)
        for i, line in enumerate(text.split("\n")):
            if re.match(r"\s*(#|$)", line):
                continue
            match = self.LINE.fullmatch(line.strip())
            if not match:
                raise ValueError(f"{label_file}:{i + 1}: expected 'name label'")
            self.paths.append(os.path.join(image_dir, match[1]))
            self.labels.append(int(match[2]))

    def __getitem__(self, i):
        i = range(len(self.paths))[i]
        with open(self.paths[i], "rb") as file:
            image = Image.open(file).convert(mode="RGB")
        if self.transform:
            image = self.transform(image)
        return image, self.labels[i]

    def __len__(self):
        return len(self.labels)


def open_text(path):
    with open(path, "rb") as file:
        return file.read().decode()
