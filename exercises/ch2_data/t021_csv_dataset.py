"""021 · 使用 Dataset 和 DataLoader 類別來加載自定義數據集

題目
    把一張 CSV 表變成 Dataset，再切成訓練與驗證兩個 DataLoader。

    第一列是欄名，label_column 那一欄是標籤，站在哪一欄都可以；其餘的欄都是數字，依檔案裡的次序當作特徵。
    類別以字串排序（所以 "10" 在 "2" 之前），標籤是類別在其中的位置。許多文章照「第一次出現的先後」編號：
    同樣的資料換個列序，同一個數字就代表別的類別。

    驗證集有 round(n * val_fraction) 個樣本（Python 的 round，4.5 是 4），由 seed 隨機選出，其餘的是訓練集。
    random_split(dataset, [0.8, 0.2]) 無條件捨去再分配餘數，個數不一定相同。

介面
    CsvDataset(path, label_column)
        path 是 UTF-8 的 CSV 檔：逗號分隔；格子裡有逗號時以雙引號包住；空行（一個字元也沒有）不是樣本。
        nan 與 inf 不會出現。
        feature_names 是特徵的欄名，classes 是排好的類別，都是 list[str]。
        dataset[i] 是 (特徵, 標籤)：float32 的張量 (d,) 與 Python 的 int。
        以下拋出 ValueError：沒有 label_column 這一欄，訊息含該欄名；檔案是空的或只有欄名，訊息含檔名；
        特徵的格子不是數字（空的也不是），訊息含欄名與行號。行號照檔案數，欄名是第 1 行，空行也算一行。
    make_loaders(dataset, batch_size, *, val_fraction=0.2, seed=0)
        回傳 (訓練, 驗證) 兩個 DataLoader。dataset 不一定是 CsvDataset，但每個樣本也是 (特徵, int)；
        0 <= val_fraction < 1，訓練集至少一個樣本。分層抽樣或單純隨機都可以。

評分
    形狀  特徵與標籤的型別、形狀；兩個 loader 的 batch 大小，最後不足的也給出，val_fraction = 0 時驗證是空的
    數值  鳶尾花的表，標籤在第一欄、中間、最後：筆數、特徵的欄名與值；數字的標籤不混進特徵；
          類別以字串排序、標籤是它的位置；雙引號裡的逗號；UTF-8 的文字；空行
    行為  每個 epoch 訓練與驗證合起來恰好是每個樣本一次，標籤跟著樣本；同一個 seed 切法相同，逐 epoch 訓練的順序也相同，
          與全域亂數無關；不同的 seed 切法不同；訓練每個 epoch 重新打亂，驗證的順序固定；
          make_loaders 不動用也不重設全域亂數；上面三種不合法的檔案拋出 ValueError

範例
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "fruit.csv")
    >>> _ = path.write_text("grams,kind,cm\\n150,pear,7.5\\n9,cherry,2\\n160,apple,8\\n", encoding="utf-8")
    >>> dataset = CsvDataset(path, "kind")
    >>> dataset.feature_names, dataset.classes
    (['grams', 'cm'], ['apple', 'cherry', 'pear'])
    >>> dataset[0]
    (tensor([150.0000,   7.5000]), 2)
    >>> train, val = make_loaders(dataset, 2, val_fraction=0.3)
    >>> len(train.dataset), len(val.dataset)
    (2, 1)

面試追問
    1. 表格大到記憶體放不下時，__getitem__ 怎麼寫？IterableDataset 又換來什麼、失去什麼？
    2. 標準化的均值該用哪一部分的資料算？放在 Dataset 裡還是模型裡？
    3. 什麼時候隨機切分會洩漏資料（同一個病人、時間序列），該怎麼切？
"""

import csv
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, random_split


class CsvDataset(Dataset):
    def __init__(self, path: str | Path, label_column: str) -> None:
        raise NotImplementedError("TODO 021")

    def __len__(self) -> int:
        raise NotImplementedError("TODO 021")

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """-> 特徵 (d,)、標籤。"""
        raise NotImplementedError("TODO 021")


def make_loaders(
    dataset: Dataset, batch_size: int, *, val_fraction: float = 0.2, seed: int = 0
) -> tuple[DataLoader, DataLoader]:
    """-> 訓練、驗證。"""
    raise NotImplementedError("TODO 021")
