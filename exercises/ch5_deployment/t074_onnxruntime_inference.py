"""074 · 使用 onnxruntime 加載 ONNX 模型進行推理

題目
    ONNX 檔到了部署端，只剩 onnxruntime：沒有 nn.Module，也沒有 autograd。把它包成好用、出錯時說得清楚的
    OnnxPredictor。容易出錯的地方：

        名稱    run 用名稱餵資料；名稱是匯出的人取的，不一定叫 "input"，要從檔案讀
        型別    onnxruntime 不會自動轉型：模型要 float32 就不收 float64；tensor 也要先變成 array
        session 建立 session 要解析檔案、最佳化計算圖，比一次推論慢得多：只建一次
        執行緒  同一個 session 可以從多個執行緒同時 run；你自己放在 self 上的暫存區就不一定了
        例外    onnxruntime 的例外直接繼承 Exception，不是 ValueError，也不是 FileNotFoundError

介面
    OnnxPredictor(path, *, providers=None)
        path       .onnx 檔，str 或 Path；模型有一個 float32 輸入 (batch, ...)、一個 float32 輸出。
        providers  依序嘗試的 execution provider，照給 onnxruntime；None 時由你決定，但要能在 CPU 上執行。
        input_names, output_names
                   模型的輸入、輸出名稱，list[str]。
    predictor(x) -> np.ndarray
        x 是 tensor 或 array (batch, ...)，float32 或 float64，可能不連續；tensor 可能需要梯度、可能在別的裝置。
    predictor.predict_batches(x, batch_size) -> np.ndarray
        依序每 batch_size 筆執行一次模型（最後一批可以不滿），結果接回原來的順序。x 至少一筆。

評分
    形狀  input_names 與 output_names
    數值  tensor 與 array、float32 與 float64、需要梯度的、不連續的輸入，結果是 float32，與 torch 相差不到 1e-4；
          predict_batches 依序切批，不重疊、不補齊，最後一批可以不滿（模型的輸出與同一批的其他筆有關）
    行為  一個 predictor 只建立一個 InferenceSession；providers 的順序照給的；
          維數不對、或檔案裡寫死的維度（包括 batch）大小不對：ValueError，訊息寫出應有的與收到的形狀；
          沒有寫死的維度（session 給的是名稱或 None）多大都可以；
          先前的結果不因之後的呼叫而變，同一個 array 的內容改了就重算；
          path 不存在：FileNotFoundError；檔案損壞（截斷的、空的）：ValueError；
          4 個執行緒同時使用同一個 predictor，各自得到自己的結果；輸入不變

範例
    >>> graph = '<ir_version: 8, opset_import: ["": 17]> g (float[n, 3] pixels) => (float[n, 3] scores) {'
    >>> model = onnx.parser.parse_model(graph + " scores = Add(pixels, pixels) }")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     onnx.save(model, Path(folder, "double.onnx"))
    ...     predictor = OnnxPredictor(Path(folder, "double.onnx"))
    >>> predictor.input_names, predictor(torch.ones(2, 3, dtype=torch.float64)).sum().item()
    (['pixels'], 12.0)

面試追問
    1. 4 個執行緒各自 run 時，session 的 intra_op_num_threads 該設多少？設太大會怎樣？
    2. I/O binding 解決什麼問題？什麼時候值得用？
    3. 為什麼 onnxruntime 的結果與 PyTorch 不會逐位元相同？誤差容許多少才合理？
"""

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
        raise NotImplementedError("TODO 074")

    def __call__(self, x: Tensor | np.ndarray) -> np.ndarray:
        """x (batch, ...) 一次執行的輸出。"""
        raise NotImplementedError("TODO 074")

    def predict_batches(self, x: Tensor | np.ndarray, batch_size: int) -> np.ndarray:
        """每 batch_size 筆執行一次，x (n, ...) 的全部輸出，順序不變。"""
        raise NotImplementedError("TODO 074")
