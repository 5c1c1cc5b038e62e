"""Bad requests keep their place as None through the three steps; NumPy makes the batch; the archive grows in memory."""

import io
import json
import zipfile
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def parse(request: dict) -> np.ndarray | None:
    for key in ("body", "data"):
        value = request.get(key)
        if value is None:
            continue
        try:
            value = json.loads(bytes(value)) if isinstance(value, bytes | bytearray) else value
            value = json.loads(value) if isinstance(value, str) else value
            value = value["input"] if isinstance(value, dict) else value
            array = np.array(value, dtype=np.float32)
        except (KeyError, TypeError, ValueError):
            return None
        return array if array.ndim and array.size and np.isfinite(array).all() else None
    return None


class ModelHandler:
    context = None

    def initialize(self, context: Any) -> None:
        self.context = context
        self.device = torch.device("cpu")
        if context.system_properties["gpu_id"] is not None:
            self.device = torch.device("cuda", context.system_properties["gpu_id"])
        with open(
            Path(context.system_properties["model_dir"]) / context.manifest["model"]["serializedFile"], "rb"
        ) as f:
            model: nn.Module = torch.jit.load(io.BytesIO(f.read()), self.device)
        self.model = model.train(False)

    def preprocess(self, data: list[dict]) -> list[np.ndarray | None]:
        return list(map(parse, data))

    def inference(self, x: list[np.ndarray | None]) -> list[Tensor | None]:
        good = [array is not None for array in x]
        if not any(good):
            return [None] * len(x)
        batch = torch.from_numpy(np.stack(list(compress(x, good)))).to(self.device)
        with torch.no_grad():
            outputs = iter(self.model(batch).cpu())
        return [next(outputs) if ok else None for ok in good]

    def postprocess(self, y: list[Tensor | None]) -> list:
        return [{"error": "unreadable request"} if row is None else [float(v) for v in row] for row in y]

    def handle(self, data: list[dict], context: Any) -> list:
        answers = self.postprocess(self.inference(self.preprocess(data)))
        for i, answer in enumerate(answers):
            if isinstance(answer, dict):
                context.set_response_status(400, idx=i)
                context.set_response_content_type(i, "application/json")
        return answers


def build_archive(name, version, serialized_file, handler_file, export_path) -> Path:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in map(Path, (handler_file, serialized_file)):
            archive.writestr(path.name, path.read_bytes())
        handler, serialized = (Path(path).name for path in (handler_file, serialized_file))
        manifest = {
            "model": dict(modelName=name, handler=handler, serializedFile=serialized, modelVersion=version),
        }
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest, indent=2))
    target = Path(export_path) / f"{name}.mar"
    target.write_bytes(content.getvalue())
    return target
