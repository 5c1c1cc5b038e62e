"""019 · 將 MNIST 數據集保存為 PyTorch 的 pt 格式，並從中加載數據

題目
    把 MNIST 的影像與標籤存成一個 .pt 檔，之後不必再解析原始檔就能載入。

    許多文章直接 torch.save(dataset, path)：那是用 pickle 存下整個物件，載入要 weights_only=False，也就是
    「誰給你檔案，誰就能在你的機器上執行程式」；類別改了名字或搬了位置，舊檔就打不開。存張量就好。

    檔案要嘛完整，要嘛不動：寫到一半失敗（磁碟滿了、被中斷）時，原來的檔案必須還在，也不留下半個檔案。

介面
    mnist_to_pt(root, path, *, train=True)
        root/MNIST/raw 底下是 MNIST 的 IDX 檔，torchvision 的 MNIST 讀得懂；不下載。train 決定是訓練集還是測試集。
        寫到 path（它的資料夾已經存在；已有同名的檔案就換掉），回傳寫了幾個樣本。檔案裡怎麼放由你決定，
        但 torch.load(path, weights_only=True) 要打得開。資料夾裡不留下別的檔案。
        寫入失敗時把例外傳出去，資料夾回到呼叫前的樣子。
    load_pt(path)
        讀 mnist_to_pt 寫的檔案，回傳 TensorDataset(images, labels)：images 是 [0, 1] 的 float32 (N, 1, 28, 28)，
        labels 是 int64 (N,)。沒有這個檔案時拋出 FileNotFoundError；檔案被截斷、是空的、不是 torch 的檔案、
        裡面是別的東西，都拋出 ValueError，訊息含檔名。檔案裡若藏了程式，不可執行它。

評分
    形狀  TensorDataset 的兩個張量的形狀與 dtype
    數值  訓練集與測試集的影像、標籤與回傳的個數，檔案搬到別處、改了名字之後載入
    行為  檔案以 weights_only=True 打得開；換掉舊檔；資料夾裡沒有別的檔案；寫入失敗（檔案大小受限）時拋出例外，
          舊檔不變、不留下別的檔案；上述壞掉的檔案拋出 ValueError；不執行檔案裡的程式；沒有檔案時拋出 FileNotFoundError

範例
    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> raw = root / "MNIST" / "raw"
    >>> raw.mkdir(parents=True)
    >>> for name in ("train", "t10k"):
    ...     header = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28])
    ...     _ = (raw / f"{name}-images-idx3-ubyte").write_bytes(header + bytes(range(196)) * 8)
    ...     _ = (raw / f"{name}-labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 3]))
    >>> mnist_to_pt(root, root / "train.pt")
    2
    >>> images, labels = load_pt(root / "train.pt").tensors
    >>> images.shape, labels
    (torch.Size([2, 1, 28, 28]), tensor([7, 3]))

面試追問
    1. 檔案裡存 uint8 還是 float32？各有什麼代價？
    2. torch.load 的 mmap=True 什麼時候有用？資料大到一個檔案放不下時怎麼存？
    3. 換名（rename）為什麼是不可分割的？斷電時還缺哪一步才保證資料在磁碟上？
"""

import os
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from torchvision.datasets import MNIST


def mnist_to_pt(root: str | Path, path: str | Path, *, train: bool = True) -> int:
    """-> 寫了幾個樣本。"""
    raise NotImplementedError("TODO 019")


def load_pt(path: str | Path) -> TensorDataset:
    """-> images (N, 1, 28, 28)、labels (N,)。"""
    raise NotImplementedError("TODO 019")
