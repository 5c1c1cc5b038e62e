"""056 · 在訓練過程中記錄損失值，並使用 Matplotlib 畫出曲線

題目
    train_and_record 用整批資料（full batch）訓練，每個 epoch 更新一步，並記下更新之前的損失：

        L = MSE(model(x), y)，所有元素的平方誤差的平均        θ ← θ − lr · ∇L        （SGD，沒有 momentum）

    plot_losses 把幾次訓練的損失畫在同一張圖裡，存成 PNG，讓人一眼比較。

    網路上的範例常有兩個毛病：losses.append(loss) 留下的是張量，每一個都牽著一整張計算圖，訓練愈久記憶體愈大；
    畫完只有 plt.savefig 而沒有關圖，pyplot 會一直留著它，畫到第 21 張就開始警告。

介面
    train_and_record(model, x, y, *, epochs, lr)
        model 是 nn.Module，就地訓練；model(x) 與 y 的形狀相同。
        傳回長度 epochs 的 list，第 i 項是第 i 步更新之前的損失，Python 的 float。epochs 為 0 時傳回空的 list。
    plot_losses(curves, path) -> Path
        curves   曲線的名稱 -> 各個 epoch 的損失，長度可以不同。
        path     要寫的 PNG 檔，str 或 Path，以 .png 結尾；所在的資料夾不存在就建立（可能不只一層）。傳回 Path(path)。
        圖        一張圖、一組座標軸；每條曲線恰好一條折線，x 是 epoch（1, 2, 3, ...），y 是損失；
                  有圖例（名稱如 curves 的鍵）、x 軸與 y 軸的標示、標題，後三者的文字不限。
        沒有曲線，或某條曲線是空的：拋出 ValueError（後者的訊息含那條曲線的名稱），不寫檔案。

評分
    形狀  train_and_record 傳回 float 的 list；PNG 打得開，寬至少 400 像素；傳回 Path
    數值  每一步的損失與權重都等於手算；每條曲線的資料一個不差；x 從 1 開始
    行為  不改動 x、y、curves，不重設全域亂數的種子；圖例的名稱對到正確的線；有軸的標示與標題；
          建立資料夾；不合法的 curves 拋出 ValueError；
          不留下開著的圖，也不關掉、不畫在呼叫者原本開著的圖上；matplotlib.rcParams 不變；
          不呼叫 plt.show()，沒有螢幕也能執行（評分前已選好 Agg backend）

範例
    >>> model = nn.Linear(1, 1)
    >>> losses = train_and_record(model, torch.ones(4, 1), torch.ones(4, 1), epochs=3, lr=0.1)
    >>> len(losses), losses[0] > losses[1] > losses[2]
    (3, True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = plot_losses({"lr = 0.1": losses, "short": [0.5, 0.25]}, Path(folder, "plots", "loss.png"))
    ...     path.name, path.read_bytes()[1:4]
    ('loss.png', b'PNG')

面試追問
    1. 記錄每一步的損失時，loss.item() 在 CUDA 上有什麼代價？怎麼減少？
    2. 訓練損失下降、驗證損失上升是什麼情形？損失忽高忽低、變成 NaN 又各是什麼原因？
    3. 在伺服器的多個執行緒裡同時用 pyplot 會怎樣？不經過 pyplot 該怎麼畫？
"""

import tempfile
from pathlib import Path

import torch
from matplotlib import pyplot as plt
from torch import Tensor, nn
from torch.nn import functional as F


def train_and_record(model: nn.Module, x: Tensor, y: Tensor, *, epochs: int, lr: float) -> list[float]:
    """x (N, ...)、y 形狀同 model(x) -> 每一步更新之前的 MSE。"""
    raise NotImplementedError("TODO 056")


def plot_losses(curves: dict[str, list[float]], path: str | Path) -> Path:
    """把每條損失曲線畫成一條線，存成 path 這個 PNG 檔，傳回它的 Path。"""
    raise NotImplementedError("TODO 056")
