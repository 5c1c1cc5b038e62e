"""062 · 完整的模型訓練與測試腳本，支持命令行參數

題目
    把訓練寫成可以重複執行的程式。資料是 sklearn.datasets.load_digits：1,797 張 8 × 8 的手寫數字，值 0 到 16，10 類。
    模型、優化器、預設值都由你決定。

        python t062_training_cli.py --epochs 20 --lr 0.01 --output-dir runs/first     訓練
        python t062_training_cli.py --test runs/first/model.pt                        測試

    別人（與三個月後的你）用得下去的腳本要做到：
        切分固定    測試資料固定是同一批，與 --seed 無關，訓練時看不到。切分若跟著 seed 變，換個 seed 再測試，
                    就會測到訓練過的資料，準確率虛高。
        可以重現    同一個 --seed 得到同樣的結果。
        說得清楚    參數不對時，在 stderr 說一句話，以狀態 2 結束，不吐出 traceback，也不留下做到一半的檔案。

介面
    main(argv=None) -> int
        argv 是參數的 list，None 表示 sys.argv[1:]。成功時傳回 0。
    訓練（沒有 --test）
        --epochs --lr --batch-size --hidden-size --seed --device --output-dir，都有預設值，值的意義如其名；
        --hidden-size 是隱藏層的大小，--device 是 torch 的裝置名稱（cpu、cuda、cuda:1 ...），
        預設值在沒有 GPU 的機器上也能用。
        輸出資料夾不存在就建立（可能不只一層）。寫出兩個檔案：
            model.pt        torch.save 的 checkpoint
            metrics.json    一個 JSON 物件，有 test_accuracy（0 到 1 的小數，測試資料上的準確率），其餘隨意，
                            但不放時間與路徑：同一個 seed 重新訓練，內容逐 byte 相同
    測試（--test CHECKPOINT）
        重新載入 checkpoint，印出的最後一行是訓練時記在 metrics.json 的 test_accuracy（小數；要捨入的話至少留四位）。
        只給 model.pt 這一個檔就夠：它可能搬了家，旁邊沒有 metrics.json；訓練時改過的 --hidden-size 也不必再給一次。
    以狀態 2 結束（main 傳回 2，或拋出 SystemExit(2)），stderr 有訊息，沒有 traceback，什麼都不寫
        --epochs 或 --lr 不大於 0；裝置不認得，或這台機器沒有；checkpoint 不存在
    import 這個檔案不會開始訓練。

評分
    數值  預設值的 test_accuracy 至少 0.9；--test 的最後一行等於記下的值；
          test_accuracy 來自沒訓練過的資料（把標籤打亂再訓練，它應接近 0.1）
    行為  以程式執行 --help（列出各個選項）與訓練；import 不訓練、不印東西、不寫檔；main 成功時傳回 0；
          同一個 seed 的 metrics.json 逐 byte 相同，權重也相同；每個選項都有作用；切分與 seed 無關；
          只靠搬了家的 model.pt 測試；不合法的參數
          （main 是程式的入口：設定亂數種子、執行緒數、確定性演算法、環境變數都可以）

範例
    >>> with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()) as printed:
    ...     status = main(["--epochs", "2", "--hidden-size", "16", "--output-dir", folder])
    ...     metrics = json.loads(Path(folder, "metrics.json").read_text())
    ...     tested = main(["--test", str(Path(folder, "model.pt"))])
    >>> status, tested, printed.getvalue().splitlines()[-1] == str(metrics["test_accuracy"])
    (0, 0, True)

面試追問
    1. 這裡用測試資料選超參數會怎樣？應該怎麼切成三份？
    2. 同一個 seed 在 CPU 與 GPU、或換一個 torch 版本，結果還會一樣嗎？要做到多少才叫「可以重現」？
    3. torch.load 為什麼預設 weights_only=True？checkpoint 裡該放什麼、不該放什麼？
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F


def main(argv: list[str] | None = None) -> int:
    """訓練，或以 --test 測試；成功傳回 0。"""
    raise NotImplementedError("TODO 062")


if __name__ == "__main__":
    sys.exit(main())
