"""009 · 使用 torch.cat 將兩個張量按列拼接

題目
    表格的每一 row 是一筆樣本，每一 column 是一個特徵。把幾張 row 數相同的表左右接起來，成為一張更寬的表；再寫
    反過來的函式，把寬表拆回幾張。

    題目的「按列」是沿 column 的方向，也就是 dim=1：row 數不變，column 數相加。（台灣稱 row 為列、column 為行，
    對岸相反；看到「列」先問是哪一維。）

    torch.cat 遇到形狀 (0,) 的 1 維 tensor 會默默略過它，不會報錯；這裡要拋出 ValueError。

介面
    concat_columns(*tensors)
        一個以上的 2 維 tensor (n, p)、(n, q)、…，依順序接成 (n, p + q + …)。column 數可以是 0。dtype 不同時依
        torch.result_type 的規則提升。沒有給任何 tensor、不是 2 維、row 數不同（其中有 1 也算），拋出 ValueError；
        row 數不同時訊息要寫出不合的那個 row 數。
    split_columns(x, sizes)
        x (n, c) 沿 dim=1 依序拆成寬度為 sizes 的幾塊，傳回 tuple；每一塊都是 x 的 view。sizes 是任何整數序列，
        可以有 0；總和不等於 c 時拋出 ValueError。

評分
    形狀  (n, p + q + …)；一個、兩個、更多個 tensor；0 個 row 或 0 個 column
    數值  依順序，不連續的輸入也可以；dtype 依規則提升；split_columns 拆得回原來的各塊
    梯度  concat_columns 的梯度到達每一個輸入；split_columns 可微
    行為  split_columns 傳回 tuple，各塊與 x 共用記憶體（不連續的 x 也是）；上述的 ValueError；不改動輸入

範例
    >>> concat_columns(torch.tensor([[1], [2]]), torch.tensor([[3, 4], [5, 6]]))
    tensor([[1, 3, 4],
            [2, 5, 6]])
    >>> split_columns(torch.arange(6).view(2, 3), [1, 2])[1]
    tensor([[1, 2],
            [4, 5]])

面試追問
    1. torch.cat 與 torch.stack 差在哪裡？各在什麼時候用？
    2. 在迴圈裡一次次 torch.cat 累積結果，時間複雜度是多少？該怎麼寫？
    3. split 出來的 view 沿 dim=1 是不連續的；哪些操作會因此複製或報錯？
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def concat_columns(*tensors: Tensor) -> Tensor:
    """(n, p)、(n, q)、… -> (n, p + q + …)。"""
    raise NotImplementedError("TODO 009")


def split_columns(x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """x (n, c) -> (n, sizes[0])、(n, sizes[1])、…，都是 x 的 view。"""
    raise NotImplementedError("TODO 009")
