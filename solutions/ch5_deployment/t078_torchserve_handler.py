"""078 · TorchServe 的 handler 與模型封存檔：參考解"""

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


class ModelHandler:
    def initialize(self, context: Any) -> None:
        """載入一次 model_dir 裡 manifest 所指的 TorchScript，放到 gpu_id 所指的裝置上。"""
        properties = context.system_properties
        gpu = properties.get("gpu_id")  # 0 是第一張 GPU，不是「沒有」
        self.device = torch.device("cpu" if gpu is None else f"cuda:{gpu}")
        path = Path(properties["model_dir"], context.manifest["model"]["serializedFile"])
        self.model = torch.jit.load(path, map_location=self.device).eval()

    def preprocess(self, data: list[dict]) -> Any:
        """data 是 n 個請求；把讀得懂的疊成一個 batch，並說出哪幾個讀不懂、為什麼。"""
        samples, problems = [], {}
        for index, request in enumerate(data):
            try:
                samples.append(self._read(request))
            except Exception as error:  # 不論哪裡錯，都不能連累同一批的其他請求
                problems[index] = f"讀不懂的請求：{error}"
        return (torch.stack(samples).to(self.device) if samples else None), problems

    def inference(self, x: Any) -> Any:
        """整批只呼叫模型一次。"""
        with torch.inference_mode():
            return self.model(x)

    def postprocess(self, y: Any) -> Any:
        """每一筆一個 JSON 能表示的答案。"""
        return y.tolist()

    def handle(self, data: list[dict], context: Any) -> list:
        """n 個請求的 n 個答案，順序與 data 相同。"""
        batch, problems = self.preprocess(data)
        outputs = iter(self.postprocess(self.inference(batch)) if batch is not None else [])
        answers = []
        for index in range(len(data)):
            if index in problems:
                context.set_response_status(400, "Bad Request", idx=index)
                answers.append({"error": problems[index]})
            else:
                answers.append(next(outputs))
        return answers

    @staticmethod
    def _read(request: dict) -> Tensor:
        payload = request["body"] if "body" in request else request["data"]
        if isinstance(payload, bytes | bytearray | str):  # application/json 已由 TorchServe 解開
            payload = json.loads(payload)
        if isinstance(payload, dict):
            payload = payload["input"]
        if not isinstance(payload, list):
            raise ValueError(f"應為數字的 list，得到 {payload!r}")
        return torch.tensor(payload, dtype=torch.float32)


def build_archive(
    name: str, version: str, serialized_file: str | Path, handler_file: str | Path, export_path: str | Path
) -> Path:
    """把 TorchScript 檔與 handler 檔打包成 export_path/NAME.mar，傳回它的 Path。"""
    serialized_file, handler_file = Path(serialized_file), Path(handler_file)
    model = {
        "modelName": name,
        "modelVersion": version,
        "handler": handler_file.name,
        "serializedFile": serialized_file.name,
    }
    path = Path(export_path, f"{name}.mar")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": model}))
        for file in (serialized_file, handler_file):
            archive.write(file, file.name)  # 只留檔名：worker 在解開的資料夾最上層找
    return path
