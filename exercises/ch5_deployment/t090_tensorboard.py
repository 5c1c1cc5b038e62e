"""090 · 使用 torch.utils.tensorboard 來監控訓練過程

題目
    把一次訓練的紀錄寫成 TensorBoard 讀得懂的 event 檔：各條曲線、每個參數的分布、模型的計算圖。
    之後執行 tensorboard --logdir runs，各次訓練（各一個資料夾）就能並排比較。

    容易出錯的地方：
        SummaryWriter 由背景的執行緒寫檔。不 close 的話，最後的資料可能還沒寫進去，執行緒也留著；
        flush 只做了前一半。
        add_scalar 不給 global_step，每一點都記在第 0 步；
        add_scalars（多了 s）會為每條線另開一個子資料夾與 writer，tag 也變了。

    add_graph 內部用的 torch.jit.trace 已標為不建議使用（部署改用 torch.export）。這一題兩種都可以：
    用 add_graph，或自己由 torch.export 的圖組出 GraphDef。

介面
    log_training(log_dir, curves, *, model=None, example=None) -> None
        log_dir    str 或 Path；不存在就建立。event 檔寫在它裡面，不寫到別處。
        curves     tag -> 各步的值，長度可以不同。每條都是 TensorBoard 的 scalar，tag 原封不動，步數從 1 開始。
        model      給了 model 就一併給 example（模型的一個輸入，有 batch 維），這時再寫入：
                   每個參數（凍結的也算，buffer 不算）恰好一個 histogram，
                   tag 含參數在 named_parameters() 裡的名稱，步數不限；
                   模型的計算圖。
        返回時檔案已經寫完、關閉，背景的執行緒也結束了。

評分
    形狀  每個 tag 都在，沒有多的；每個參數一個 histogram；有計算圖（模型的運算在裡面，例如 relu），沒給 model 時沒有
    數值  每條曲線的步數與值（float32）；histogram 的個數、最小值、最大值
    行為  一返回就讀得到，不留下執行緒與開著的檔案；只寫在 log_dir 裡；兩次訓練寫在不同的資料夾，互不混雜；
          不改動 curves、example、模型的參數、buffer 與 train／eval 模式

    讀取用的是 TensorBoard 自己的 EventAccumulator。

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log_training(Path(folder, "run1"), {"loss/train": [0.9, 0.5], "loss/val": [1.0]})
    ...     len(list(Path(folder, "run1").glob("events.out.tfevents.*")))
    1

面試追問
    1. 每一步都 add_scalar 與每 100 步一次，代價差在哪裡？loss.item() 呢？
    2. 怎麼從 histogram 看出梯度消失、權重爆炸、死掉的 ReLU？
    3. add_graph 會暫時把模型切到 eval 再切回來，但只記得最外層的模式：部分凍結的模型會受什麼影響？
"""

import tempfile
from pathlib import Path

from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter


def log_training(
    log_dir: str | Path,
    curves: dict[str, list[float]],
    *,
    model: nn.Module | None = None,
    example: Tensor | None = None,
) -> None:
    """把曲線、參數的 histogram 與計算圖寫進 log_dir。example (batch, ...)。"""
    raise NotImplementedError("TODO 090")
