"""Task 087: flat files, a number claimed by creating a file exclusively, the manifest written last."""

import hashlib
import json
import os
import pathlib
import re

import torch


class ModelRegistry:
    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        os.makedirs(self.root, exist_ok=True)

    def _base(self, name):
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or set(name) == {"."}:
            raise ValueError(f"illegal name: {name}")
        return self.root / f"{name}@"

    def _manifest(self, name, version):
        return pathlib.Path(f"{self._base(name)}{version}.json")

    def _numbers(self, name, suffix):
        pattern = re.compile(re.escape(self._base(name).name) + r"(\d+)\." + suffix)
        return sorted(int(m.group(1)) for m in map(pattern.fullmatch, os.listdir(self.root)) if m)

    def versions(self, name):
        return self._numbers(name, "json")

    def save(self, name, state_dict, *, metadata=None):
        number = max(self._numbers(name, "claim"), default=0)
        while True:
            number += 1
            try:
                os.close(os.open(f"{self._base(name)}{number}.claim", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                break
            except FileExistsError:
                continue
        weights = pathlib.Path(f"{self._base(name)}{number}.pth")
        torch.save(dict(state_dict), weights)
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        manifest = self._manifest(name, number)
        draft = manifest.with_suffix(".draft")
        draft.write_text(json.dumps({"sha256": digest, "metadata": metadata or {}}))
        os.replace(draft, manifest)
        return number

    def _open(self, name, version):
        if version == "latest":
            known = self.versions(name)
            if not known:
                raise KeyError(name)
            version = known[-1]
        manifest = self._manifest(name, version)
        if not manifest.is_file():
            raise KeyError(f"{name}:{version}")
        record = json.loads(manifest.read_text())
        weights = manifest.with_suffix(".pth")
        with open(weights, "rb") as file:
            intact = hashlib.file_digest(file, "sha256").hexdigest() == record["sha256"]
        return weights, record["metadata"], intact

    def verify(self, name, version):
        return self._open(name, version)[2]

    def load(self, name, version="latest"):
        weights, metadata, intact = self._open(name, version)
        if not intact:
            raise ValueError(f"checksum mismatch in {weights.name}")
        return torch.load(weights, map_location="cpu", weights_only=True), metadata
