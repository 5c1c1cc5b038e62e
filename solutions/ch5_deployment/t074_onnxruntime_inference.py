"""074 · onnxruntime 推理：參考解"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor


class OnnxPredictor:
    """一個 ONNX 檔的推論。input_names、output_names 是模型的輸入、輸出名稱。"""

    def __init__(self, path: str | Path, *, providers: Sequence | None = None) -> None:
        if not Path(path).is_file():
            raise FileNotFoundError(f"找不到 {path}")
        providers = providers or onnxruntime.get_available_providers()
        try:
            self._session = onnxruntime.InferenceSession(path, providers=providers)
        except Exception as error:  # onnxruntime 的例外依損壞的方式有好幾種，共同的父類別只有 Exception
            raise ValueError(f"無法載入 {path}：{error}") from error
        self.input_names = [value.name for value in self._session.get_inputs()]
        self.output_names = [value.name for value in self._session.get_outputs()]

    def __call__(self, x: Tensor | np.ndarray) -> np.ndarray:
        """x (batch, ...) 一次執行的輸出。"""
        array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
        expected = self._session.get_inputs()[0].shape  # 動態的維度是名稱或 None
        sizes = [size if isinstance(size, int) else found for size, found in zip(expected, array.shape, strict=False)]
        if array.ndim != len(expected) or sizes != list(array.shape):
            raise ValueError(f"輸入的形狀應為 {expected}，得到 {array.shape}")
        return self._session.run(None, {self.input_names[0]: array.astype(np.float32, copy=False)})[0]

    def predict_batches(self, x: Tensor | np.ndarray, batch_size: int) -> np.ndarray:
        """每 batch_size 筆執行一次，x (n, ...) 的全部輸出，順序不變。"""
        return np.concatenate([self(x[start : start + batch_size]) for start in range(0, len(x), batch_size)])
