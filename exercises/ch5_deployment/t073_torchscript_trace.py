"""073 · 使用 torch.jit.trace 將模型轉換為 TorchScript

題目
    torch.jit.trace 拿一個範例跑一次模型，把經過的運算記成計算圖；存檔後不需要模型的 Python 程式碼就能
    執行（包括在 C++ 裡）。但它只記得「這一次」發生的事：

        if、for       依資料而定的分支，只留下範例走的那一邊
        Python 數字   int(x.shape[0])、len(x)、x.sum().item() 成了常數；換個 batch 就錯，而且常常不報錯
        模式          dropout 與 batch norm 照 trace 當時的模式記下來，之後再 eval() 也改不了

    所以 trace 之後一定要拿別的輸入與原模型比較，不一樣就不能交出去。torch.jit.trace 自己的 check_inputs
    也會比較，但它拋出的是 TracingCheckError，只是 Exception 的子類別。

    TorchScript 已不再發展：torch 2.9 起 torch.jit.trace 會發出 deprecated 的警告，新的專案用 torch.export
    （見 089）。舊系統裡仍到處是 .pt 檔，面試也還會問，所以這一題照舊傳回 ScriptModule。

介面
    trace_model(model, example, path, *, check_inputs=()) -> torch.jit.ScriptModule
        model         輸入一個 tensor、輸出一個 tensor 的 nn.Module；各個子模組可能在 train 或 eval 模式。
        example       trace 用的範例 (batch, ...)。
        path          要寫的檔案，str 或 Path；可以用 torch.jit.load 載入。
        check_inputs  另外的輸入，iterable（可能只能走訪一次）；形狀可以與 example 不同，原模型都能執行。
        傳回寫進檔案的那個 ScriptModule；除了 path 不留下別的檔案。

評分
    數值  傳回的 ScriptModule 在 batch 為 1、3、8 時，與 eval 模式的模型相差不到 1e-5；
          寫出的檔案在一個沒有模型程式碼的新行程裡載入，結果也是
    行為  check_inputs 中有一個使 trace 的結果與 eval 模式的原模型不同（形狀不同，或有元素相差 1e-2 以上），
          或使它無法執行：ValueError，而且 path 維持原樣（原本沒有就沒有，原本有內容就不變）；
          成功或失敗，資料夾裡都不留下別的檔案；
          check_inputs 都相符就要成功，即使 trace 時有警告；
          成功或失敗之後，模型的參數、buffer、每個子模組的模式都和原來一樣

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "linear.pt")
    ...     traced = trace_model(nn.Linear(3, 2), torch.zeros(4, 3), path, check_inputs=[torch.ones(1, 3)])
    ...     tuple(torch.jit.load(path)(torch.ones(5, 3)).shape)
    (5, 2)

面試追問
    1. torch.jit.script 怎麼處理依資料而定的分支？它對 Python 程式碼有什麼限制？
    2. torch.export 遇到同樣的分支會怎麼做？為什麼說它比 trace 安全？
    3. x.reshape(x.shape[0], -1) 被 trace 之後，batch 為什麼仍是動態的？
"""

import tempfile
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor, nn


def trace_model(
    model: nn.Module,
    example: Tensor,
    path: str | Path,
    *,
    check_inputs: Iterable[Tensor] = (),
) -> torch.jit.ScriptModule:
    """以 example (batch, ...) trace model，與 check_inputs 比較無誤後存到 path，傳回 ScriptModule。"""
    raise NotImplementedError("TODO 073")
