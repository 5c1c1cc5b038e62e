"""Task 087: one SQLite database with everything, the digest beside the bytes."""

import hashlib
import io
import json
import os.path
import sqlite3
from contextlib import closing
from pathlib import Path

import torch


class ModelRegistry:
    def __init__(self, root):
        Path(root).mkdir(parents=True, exist_ok=True)
        self.root = os.path.realpath(root)
        with closing(self._connect()) as db, db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS model (name TEXT, version INTEGER, weights BLOB, metadata TEXT,"
                " digest TEXT, PRIMARY KEY (name, version))"
            )

    def _connect(self):
        return sqlite3.connect(os.path.join(self.root, "registry.sqlite"), timeout=60, isolation_level="IMMEDIATE")

    def _check_name(self, name):
        place = os.path.realpath(os.path.join(self.root, name))
        if os.path.commonpath([place, self.root]) != self.root or place == self.root:
            raise ValueError(f"bad model name {name!r}")

    def _row(self, name, version):
        self._check_name(name)
        if version == "latest":
            where, values = "name = ? ORDER BY version DESC LIMIT 1", (name,)
        else:
            where, values = "name = ? AND version = ?", (name, version)
        with closing(self._connect()) as db:
            row = db.execute(f"SELECT weights, metadata, digest FROM model WHERE {where}", values).fetchone()
        if row is None:
            raise KeyError((name, version))
        return row

    @staticmethod
    def _digest(weights, metadata):
        return hashlib.sha256(weights + b"\0" + metadata.encode()).hexdigest()

    def save(self, name, state_dict, *, metadata=None):
        self._check_name(name)
        buffer = io.BytesIO()
        torch.save(state_dict, buffer)
        weights, text = buffer.getvalue(), json.dumps(metadata)
        with closing(self._connect()) as db, db:
            db.execute("BEGIN IMMEDIATE")
            (last,) = db.execute("SELECT max(version) FROM model WHERE name = ?", (name,)).fetchone()
            version = (last or 0) + 1
            row = (name, version, weights, text, self._digest(weights, text))
            db.execute("INSERT INTO model VALUES (?, ?, ?, ?, ?)", row)
        return version

    def load(self, name, version="latest"):
        weights, metadata, digest = self._row(name, version)
        if self._digest(weights, metadata) != digest:
            raise ValueError(f"{name} {version} is corrupt")
        return torch.load(io.BytesIO(weights), map_location="cpu"), json.loads(metadata)

    def versions(self, name):
        self._check_name(name)
        with closing(self._connect()) as db:
            rows = db.execute("SELECT version FROM model WHERE name = ? ORDER BY version", (name,)).fetchall()
        if not rows:
            raise KeyError(name)
        return [version for (version,) in rows]

    def verify(self, name, version):
        weights, metadata, digest = self._row(name, version)
        return self._digest(weights, metadata) == digest
