"""072 · 將一個訓練好的 PyTorch 模型轉換為 ONNX 格式

題目
    ONNX 是模型的交換格式：匯出一次，就能在沒有 PyTorch 的地方（onnxruntime、TensorRT、瀏覽器）推論。
    匯出時最常出錯的四件事：

        batch 被寫死    匯出靠一個範例輸入追出計算圖；不另外說明，範例的 batch 大小就成了常數
        模式不對        要匯出的是推論的行為：dropout 關閉，batch norm 用訓練時累積的統計量
        名稱            部署端用名稱餵資料、取結果，不指定就是自動產生的名稱
        權重在另一個檔  torch 2.9 起 torch.onnx.export 預設用新的 exporter，而且把權重另存成
                        「檔名.data」；只複製 .onnx 過去就載入不了

    網路上多數教學用的是舊的 exporter（dynamic_axes、TorchScript），已不建議使用；這一題用哪一個都可以。

介面
    export_onnx(model, example, path, *, input_name="input", output_name="output") -> Path
        model    輸入一個 tensor、輸出一個 tensor 的 nn.Module，可能在 train 或 eval 模式。
        example  範例輸入 (batch, ...)，batch 至少是 2。
        path     要寫的檔案，str 或 Path；所在的資料夾已經存在。傳回 Path(path)。

評分
    形狀  輸入、輸出各一個，名稱如指定；輸入的第 0 維是動態的，其餘各維與 example 相同
    數值  onnxruntime 在 batch 為 1、3、8 時的輸出，與 eval 模式的模型相差不到 1e-4
          （模型含有 dropout 與 batch norm）
    行為  onnx.checker 接受這個檔案；只寫出 path 這一個檔，權重在裡面，搬到別處也能載入；
          傳回 Path；模型的模式、參數、buffer 與 example 都和原來一樣

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export_onnx(nn.Linear(3, 2), torch.zeros(2, 3), Path(folder, "linear.onnx"))
    ...     path.name
    'linear.onnx'

面試追問
    1. 範例的 batch 是 1 時，新的 exporter 會遇到什麼問題？怎麼處理？
    2. forward 裡依資料而定的 if 或 for，匯出後變成什麼？
    3. 怎麼確認匯出的模型在部署端算得對？opset 版本該怎麼選？
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn


def export_onnx(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    input_name: str = "input",
    output_name: str = "output",
) -> Path:
    """把 model 匯出成 path 這一個 ONNX 檔，傳回它的 Path。example (batch, ...)，batch 至少是 2。"""
    raise NotImplementedError("TODO 072")
