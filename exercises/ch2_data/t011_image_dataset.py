"""011 · 自定義 Dataset 類，從本地文件中加載圖像和標籤

題目
    寫一個 map-style 的 Dataset：標籤檔的每一行是「檔名 標籤」，影像放在同一個資料夾裡。

        pagoda.jpg 0
        lake view.jpg 1          ← 檔名可以有空白，也可以是中文
        # 整行的註解
        roof #2.png 12           ← 檔名裡的 # 不是註解

    最後一個以空白隔開的詞是標籤，它前面的全部是檔名。許多教學寫 name, label = line.split()，
    檔名一有空白就壞了；open(path) 不給 encoding 時用系統的預設編碼，繁體中文的 Windows 是 cp950，中文檔名就成了亂碼。

介面
    ImageLabelDataset(image_dir, label_file, transform=None)
        image_dir、label_file 是 str 或 Path；標籤檔不一定在 image_dir 裡。
        標籤檔是 UTF-8，與系統的預設編碼無關。空白行，與第一個非空白字元是 # 的行都略過。一行前後的空白不算，
        檔名與標籤之間可以隔著幾個空白或 tab，檔名中間的空白照原樣。標籤是十進位整數，可以是負的。
        樣本的順序與檔案相同；同一個檔名可以出現不只一次。
        不足兩個詞，或標籤不是整數：建立時就拋出 ValueError，訊息寫出它是檔案的第幾行（從 1 起，略過的行也算）。
    dataset[index] -> (image, label)
        image 是 RGB 的 PIL.Image.Image，灰階、調色盤、RGBA 的檔案也一樣（同 PIL 的 convert("RGB")，透明度捨棄）；
        有 transform 時是 transform(那張 RGB 影像) 的結果。label 是 Python 的 int。
        index 為負時從後面數；超出範圍時拋出 IndexError（for 迴圈就靠它停下來）。
        影像不存在：要取用那一張時才拋出 FileNotFoundError，訊息含它的檔名。
    len(dataset) -> 樣本數

評分
    形狀  是 torch.utils.data.Dataset；每一項是（RGB 的 PIL 影像, int）；影像的大小
    數值  照片與灰階、調色盤、RGBA 檔案的像素；檔名與標籤的解析、順序、樣本數
    行為  還沒要取用的影像一張也不開（不存在也能建立，也不妨礙別張）；不留下開著的檔案（取出的影像還在時也是）；
          負的 index、IndexError、迭代會停；transform 拿到 RGB 影像；可以 pickle；在 2 個 worker 的 DataLoader 裡能用；
          系統的預設編碼不是 UTF-8 也讀得對；上述的 ValueError 與 FileNotFoundError

範例
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (4, 3), 200).save(f"{folder}/湖 1.png")
    ...     _ = Path(folder, "labels.txt").write_text("湖 1.png 7", encoding="utf-8")
    ...     ImageLabelDataset(folder, f"{folder}/labels.txt")[-1]
    (<PIL.Image.Image image mode=RGB size=4x3 at 0x...>, 7)

面試追問
    1. 一千萬張圖時，self.samples 這個 list 在每個 worker 裡會慢慢長大（copy-on-write 與參考計數），怎麼改？
    2. 影像改放在一個 HDF5 或 LMDB 檔裡時，為什麼不能在 __init__ 開檔再交給 worker？
    3. 手機照片的方向存在 EXIF 裡，Image.open 會不會轉正？訓練與推論不一致會怎樣？
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import Dataset


class ImageLabelDataset(Dataset):
    def __init__(
        self, image_dir: str | Path, label_file: str | Path, transform: Callable[[Image.Image], Any] | None = None
    ) -> None:
        raise NotImplementedError("TODO 011")

    def __len__(self) -> int:
        """樣本數。"""
        raise NotImplementedError("TODO 011")

    def __getitem__(self, index: int) -> tuple[Any, int]:
        """-> (RGB 的 PIL 影像，或 transform 的結果, 標籤)。"""
        raise NotImplementedError("TODO 011")
