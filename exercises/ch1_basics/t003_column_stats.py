"""003 · 隨機初始化的 5x5 張量，並對每列計算均值和標準差

題目
    「列」在各地的用法不同（臺灣的列多半指 row）。這一題要的是每一行：直行（column），也就是對 dim 0 縮減，
    5x5 的張量得到 5 個均值與 5 個標準差。以下「行」是 column，「列」是 row。

        mean[j] = Σ_i x[i, j] / n
        std[j]  = sqrt( Σ_i (x[i, j] − mean[j])² / (n − 1) )      n 為列數（x.shape[0]）

    標準差是樣本標準差，分母是 n − 1，所以至少要有兩列。
    常見的「一次掃完」公式 E[x²] − E[x]² 在均值遠大於標準差時會相減抵消：float32 下，均值 1e4、標準差 0.1
    的資料連一位有效數字都不剩，甚至是負數。

介面
    random_matrix(rows=5, cols=5, *, generator=None)
        [0, 1) 上均勻分布的 float32 張量，形狀 (rows, cols)。亂數取自 generator；沒給時取自 torch 的全域亂數。
    column_stats(x)
        x 為 (rows, cols) 的浮點數張量。回傳 (mean, std)，形狀都是 (cols,)，dtype 與 x 相同。
        少於兩列時拋出 ValueError，訊息寫出列數或 x 的形狀。

評分
    形狀  random_matrix 預設 5x5，也接受其他大小，dtype 是 float32；column_stats 的兩個結果都是 (cols,)
    數值  均值與樣本標準差符合上式，包含長方形、只有兩列、只有一行、非連續的輸入，float32 與 float64；
          一整行都是同一個值時，標準差是 0；
          均值 ±1e4、標準差 0.1 的 float32 資料，標準差的相對誤差不超過 1e-2
    行為  random_matrix 在 [0, 1) 上均勻（KS 檢定）、值不重複；同樣的 generator 得到同樣的值（不受全域亂數影響），
          不同的 generator 或連續兩次呼叫得到不同的值；沒給 generator 時由 torch.manual_seed 決定；
          column_stats 不改動輸入；少於兩列拋出 ValueError

範例
    >>> random_matrix().shape
    torch.Size([5, 5])
    >>> mean, std = column_stats(torch.tensor([[1.0, 10.0], [2.0, 10.0], [3.0, 40.0]]))
    >>> mean
    tensor([ 2., 20.])
    >>> std
    tensor([ 1.0000, 17.3205])

面試追問
    1. 為什麼分母是 n − 1？BatchNorm 正規化時用哪一個，running_var 又存哪一個？
    2. 資料太大、只能一批一批讀時，怎麼穩定地合併均值與變異數（Welford、Chan）？
    3. torch.manual_seed 與 torch.Generator 差在哪裡？DataLoader 的多個 worker 該怎麼設種子？
"""

import torch
from torch import Tensor


def random_matrix(rows: int = 5, cols: int = 5, *, generator: torch.Generator | None = None) -> Tensor:
    """-> (rows, cols)，[0, 1) 上均勻分布。"""
    raise NotImplementedError("TODO 003")


def column_stats(x: Tensor) -> tuple[Tensor, Tensor]:
    """x (rows, cols) -> mean (cols,)、std (cols,)。"""
    raise NotImplementedError("TODO 003")
