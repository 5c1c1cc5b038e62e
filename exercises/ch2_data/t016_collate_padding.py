"""016 · 使用 collate_fn 處理不規則長度的序列數據

題目
    DataLoader 預設用 torch.stack 把樣本疊成 batch，長短不一的序列疊不起來。寫一個可以當 collate_fn 的函式：由長到短排，
    在尾端補 padding_value，補到 batch 裡最長的長度 T，並交出補之前的長度。

    許多教學用 batch.sort(...) 排序：那會改動呼叫者的 list。pack_padded_sequence 早已有 enforce_sorted=False，不再非排序
    不可；但排好之後，長度相同的序列要維持輸入時的先後，否則同樣的資料會得到不同的順序。

介面
    collate_pad(batch, *, padding_value=0) -> (padded, lengths)
        batch 是 list，每一項是一條序列：Tensor (T_i, *)，或數字的 list（一維）。T_i 可以是 0。
        同一個 batch 的項目 dtype、device 與 * 的部分都相同。
        padded 為 (B, T, *)；lengths 為 (B,) 的 int64，依 padded 的順序，是各項補之前的長度。
        最長的在最前面；長度相同的照輸入的順序。
        Tensor 的 dtype 保持不變；整數的 list 成為 int64，浮點數的 list 成為 torch.get_default_dtype()。
        空的 list 沒有自己的 dtype，跟著其他項目（list，或一維的 Tensor）；只有空的 list 時不限。
        batch 是空的時拋出 ValueError。

評分
    形狀  padded 與 lengths 的形狀；dtype 如上，padded 與輸入在同一個 device
    數值  padded 的內容與順序（一維、二維、三維的項目），指定的與預設的 padding_value；lengths 的值與 dtype
    行為  長度相同的照輸入的順序；空的 list 跟著其他項目的 dtype；長度為 0 的項目照樣留著，全部為 0 也可以；
          不改動 batch 的順序與內容；空的 batch 拋出 ValueError
    速度  512 條長度 1 到 200 的整數序列，不超過參考解的 6 倍，也不逐元素迴圈

範例
    >>> padded, lengths = collate_pad([[1], [2, 3, 4], [5, 6]], padding_value=-1)
    >>> padded
    tensor([[ 2,  3,  4],
            [ 5,  6, -1],
            [ 1, -1, -1]])
    >>> lengths
    tensor([3, 2, 1])

面試追問
    1. 補上的位置在 attention、loss、BatchNorm 裡各要怎麼排除？
    2. 怎麼讓長度相近的序列進同一個 batch，又保有隨機性？
    3. 什麼時候該用 pack_padded_sequence 或 nested tensor，而不是補齊？
"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def collate_pad(batch: list[Tensor | list], *, padding_value: float = 0) -> tuple[Tensor, Tensor]:
    """B 條 (T_i, *) 的序列 -> padded (B, T, *)、lengths (B,)，由長到短。"""
    raise NotImplementedError("TODO 016")
