"""087 · 模型的版本控制：參考解"""

import hashlib
import io
import json
import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

FILES = ("weights.pt", "metadata.json")


class ModelRegistry:
    """磁碟上的模型倉庫，版本只增不改：root/name/3/ 裡有權重、metadata 與兩者的 SHA-256。"""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, state_dict: dict[str, Tensor], *, metadata: dict | None = None) -> int:
        """存成新的版本，傳回版本號。"""
        folder = self._folder(name)
        with tempfile.TemporaryDirectory(dir=self.root, prefix=".saving-") as temporary:
            new = Path(temporary, "new")
            new.mkdir()
            torch.save(state_dict, new / "weights.pt")
            (new / "metadata.json").write_text(json.dumps(metadata or {}), encoding="utf-8")
            (new / "SHA256SUMS").write_text(_sums(_contents(new)), encoding="utf-8")
            folder.mkdir(exist_ok=True)
            version = max(self.versions(name), default=0) + 1
            while True:
                try:
                    # 整個資料夾一次換上去：成功就是完整的版本；號碼已被別的行程拿走就會失敗，再試下一個。
                    os.rename(new, folder / str(version))
                    return version
                except OSError:
                    if not (folder / str(version)).exists():
                        raise
                    version += 1

    def load(self, name: str, version: int | str = "latest") -> tuple[dict[str, Tensor], dict | None]:
        """(state_dict, metadata)；先確認檔案沒被改過才讀。"""
        if version == "latest":
            version = max(self.versions(name), default=0)
        folder = self._existing(name, version)
        contents = _contents(folder)  # 只讀一次：比對過的就是接下來要載入的
        if _sums(contents) != (folder / "SHA256SUMS").read_text(encoding="utf-8"):
            raise ValueError(f"{name} 版本 {version} 的檔案和存的時候不同")
        weights, metadata = contents.values()
        return torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True), json.loads(metadata)

    def versions(self, name: str) -> list[int]:
        """現有的版本號，由小到大。"""
        return sorted(int(path.name) for path in self._folder(name).glob("*") if path.name.isdecimal())

    def verify(self, name: str, version: int) -> bool:
        """檔案是否和存的時候一樣。"""
        folder = self._existing(name, version)
        return _sums(_contents(folder)) == (folder / "SHA256SUMS").read_text(encoding="utf-8")

    def _folder(self, name: str) -> Path:
        if name in ("", "..") or Path(name).name != name:
            raise ValueError(f"不能用的名稱：{name!r}")
        return self.root / name

    def _existing(self, name: str, version: int | str) -> Path:
        if version not in self.versions(name):
            raise KeyError(f"沒有 {name} 版本 {version}")
        return self._folder(name) / str(version)


def _contents(folder: Path) -> dict[str, bytes]:
    return {file: (folder / file).read_bytes() for file in FILES}


def _sums(contents: dict[str, bytes]) -> str:
    """sha256sum -c 也認得的格式。"""
    return "".join(f"{hashlib.sha256(data).hexdigest()}  {file}\n" for file, data in contents.items())
