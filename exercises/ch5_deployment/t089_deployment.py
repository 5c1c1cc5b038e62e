"""089 · 模型的部署

題目
    部署端不該依賴訓練時的程式碼：類別改了名字、搬了檔案，pickle 出來的模型就再也讀不回來；只有
    state_dict 的檔案沒有計算過程，也跑不起來。torch.export 把 forward 追成一張完整的計算圖（連同權重存成
    .pt2），載入時只需要 torch。容易出錯的地方：

        動態的 batch  不說明，每一維都成了範例的大小。第 0 維要是動態的，其餘各維照範例
        batch 為 1    torch.export 把大小 0 與 1 當成常數（broadcasting 的規則不同）。範例的 batch 是 1 時，
                      Dim.AUTO 會「悄悄」把它寫死，Dim("batch") 與 Dim.DYNAMIC 則直接報錯
        模式          dropout 與 batch norm 照匯出當時的模式記下來；匯出之後的 module() 也不能再 eval()
        例外          壞掉的檔案，torch.export.load 拋出的可能是 RuntimeError、BadZipFile……

    網路上不少教學用 torch.jit.trace 或 torch.save(model) 部署：前者已 deprecated，後者存的是 pickle，
    載入時會執行檔案裡的任意程式碼。

介面
    export_program(model, example, path) -> Path
        model    輸入一個 tensor、輸出一個 tensor 的 nn.Module；各個子模組可能在 train 或 eval 模式。
        example  範例 (batch, ...)，batch 至少是 1。
        path     要寫的 .pt2 檔，str 或 Path；所在的資料夾已經存在。傳回 Path(path)。
    load_program(path) -> callable
        傳回可以呼叫的物件：輸入 tensor (batch, ...)，傳回 tensor，不需要模型的類別。

評分
    數值  在一個無法匯入模型類別的新行程裡，以 load_program 載入、在 batch 為 1、3、8 時執行，與 eval 模式
          的模型相差不到 1e-5；範例的 batch 是 4 與 1 都是如此
    行為  檔案也能用 torch.export.load 載入；傳回 Path；
          模型的參數、buffer、每個子模組的模式與 example 都和原來一樣；
          load_program 的 path 不存在：FileNotFoundError；
          不是程式的檔案（文字、state_dict、截斷的）：ValueError

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = export_program(nn.Linear(3, 2), torch.zeros(1, 3), Path(folder, "linear.pt2"))
    ...     program = load_program(path)
    >>> path.name, tuple(program(torch.zeros(5, 3)).shape)
    ('linear.pt2', (5, 2))

面試追問
    1. forward 裡有依資料而定的 if 時，torch.export 會怎麼做？torch.cond 有什麼用？
    2. torch.export、torch.compile、AOTInductor 三者的關係是什麼？
    3. 上線之後要換新版的模型，怎麼做到不中斷服務、出問題能退回？
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn


def export_program(model: nn.Module, example: Tensor, path: str | Path) -> Path:
    """把 model 以 torch.export 匯出到 path，batch 是動態的。example (batch, ...)，batch 至少是 1。"""
    raise NotImplementedError("TODO 089")


def load_program(path: str | Path) -> Callable[[Tensor], Tensor]:
    """載入 export_program 寫的檔案；傳回的物件把 (batch, ...) 變成模型的輸出。"""
    raise NotImplementedError("TODO 089")
