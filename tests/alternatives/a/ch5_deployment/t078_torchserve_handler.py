"""Each request is preprocessed by itself, and what cannot be read raises; the archive is packed as a folder."""

import json
import shutil
import tempfile
from os.path import basename, join
from pathlib import Path

import torch


class ModelHandler:
    def __init__(self):
        self.model = None
        self.device = None

    def initialize(self, context):
        gpu = context.system_properties.get("gpu_id")
        use_gpu = torch.cuda.is_available() and gpu is not None
        self.device = torch.device(f"cuda:{gpu}" if use_gpu else "cpu")
        folder = context.system_properties.get("model_dir")
        self.model = torch.jit.load(join(folder, context.manifest["model"]["serializedFile"]), map_location="cpu")
        self.model.to(self.device)
        self.model.eval()

    def preprocess(self, data):
        rows = []
        for request in data:
            content = request.get("data")
            if content is None:
                content = request.get("body")
            if isinstance(content, (bytes, bytearray)):
                content = content.decode("utf-8")
            if isinstance(content, str):
                content = json.loads(content)
            if isinstance(content, dict):
                content = content.get("input")
            if type(content) is not list:
                raise ValueError(f"expected a list of numbers, got {type(content).__name__}")
            rows.append(torch.tensor(content, dtype=torch.float32, device=self.device))
        return torch.stack(rows)

    @torch.no_grad()
    def inference(self, x):
        return self.model(x)

    def postprocess(self, y):
        return [row.cpu().numpy().tolist() for row in y]

    def handle(self, data, context):
        answers, good, tensors = [None] * len(data), [], []
        for i, request in enumerate(data):
            try:
                tensors.append(self.preprocess([request]))
                good.append(i)
            except (KeyError, TypeError, ValueError) as error:
                context.set_response_status(code=400, phrase="cannot read the request", idx=i)
                answers[i] = {"code": 400, "message": str(error)}
        if good:
            for i, answer in zip(good, self.postprocess(self.inference(torch.cat(tensors))), strict=True):
                answers[i] = answer
        return answers


def build_archive(name, version, serialized_file, handler_file, export_path):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(serialized_file, folder)
        shutil.copy(handler_file, folder)
        model = {"modelName": name, "serializedFile": basename(serialized_file), "modelVersion": version}
        model["handler"] = basename(handler_file)
        Path(folder, "MAR-INF").mkdir()
        with open(join(folder, "MAR-INF", "MANIFEST.json"), "w") as file:
            json.dump({"createdOn": "now", "runtime": "python", "model": model, "archiverVersion": "0.12.0"}, file)
        packed = shutil.make_archive(join(export_path, name), "zip", folder)
    return Path(packed).rename(join(export_path, name + ".mar"))
