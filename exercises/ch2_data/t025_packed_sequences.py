"""025 · 使用 torch.nn.utils.rnn 來處理可變長度的序列數據

題目
    把長短不一的序列補齊再餵給 RNN，後面的步驟就在補的 0 上空轉：每條序列的「最後一步」不是輸出的最後一格。
    PackedSequence 記下每個時間點還有幾條序列，RNN 因此跳過補的部分，h_n 停在每條序列真正的最後一步。

    許多教學要你先由長到短排序；PyTorch 1.1 起 enforce_sorted=False 就會自己排，並記住原來的順序。PackedSequence 的
    data 與 batch_sizes 是排序後的，而 RNN 交出的 h_n 已經換回輸入的順序，再換一次反而錯。

介面
    pad_and_pack(sequences) -> PackedSequence
        sequences 是 Tensor (T_i, D) 的 list，T_i ≥ 1，長短與順序不拘；D、dtype、device 都相同。
        結果記得原來的順序：torch 的 pad_packed_sequence 能由它還原。
    unpack(packed) -> list[Tensor]
        依原來的順序與長度還原成 (T_i, *)。packed 可以是 pad_and_pack 的結果、RNN 的輸出，或任何其他的 PackedSequence
        （例如 enforce_sorted=True、沒有記順序的）。
    last_outputs(rnn, sequences) -> Tensor (B, H)
        rnn 是單向的 nn.GRU 或 nn.LSTM，層數不限，batch_first 兩者皆可；h_0、c_0 為 0。
        第 i 列是最上層在 sequences[i] 最後一步的輸出。
    pad_and_pack 與 last_outputs 遇到長度為 0 的序列，或沒有任何序列時，拋出 ValueError。

評分
    形狀  pad_and_pack 給出 PackedSequence，各時間點的條數（batch_sizes）正確；last_outputs 為 (B, H)，dtype 與 rnn 相同
    數值  pad_and_pack 能由 pad_packed_sequence 還原，unpack 還原各種來源的 PackedSequence；last_outputs 等於每條序列
          單獨餵給 rnn 的最後一步（GRU 與 LSTM、一層與兩層、batch_first 與否、順序不拘、只有一條）
    梯度  last_outputs 對 rnn 的每個參數與各條序列的梯度，等於單獨餵的；打包再還原時梯度照樣通過
    行為  不改動 sequences 的順序與內容，也不改動 rnn；拋出上述例外
    速度  64 條長度 1 到 50 的序列、GRU(8, 16) 的 last_outputs，不超過參考解的 5 倍（逐條餵會超過）

範例
    >>> packed = pad_and_pack([torch.tensor([[1.0]]), torch.tensor([[2.0], [3.0]])])
    >>> packed.data.flatten(), packed.batch_sizes
    (tensor([2., 1., 3.]), tensor([2, 1]))
    >>> [sequence.flatten().tolist() for sequence in unpack(packed)]
    [[1.0], [2.0, 3.0]]
    >>> last_outputs(nn.GRU(1, 4), [torch.zeros(2, 1), torch.zeros(5, 1)]).shape
    torch.Size([2, 4])

面試追問
    1. 單向的 RNN 補齊後再取第 T_i − 1 步，結果也對；雙向的為什麼不行？
    2. PackedSequence 省下多少計算？什麼時候依長度分組（bucketing）就夠了？
    3. 為什麼 pack_padded_sequence 的 lengths 必須在 CPU 上？
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, unpack_sequence


def pad_and_pack(sequences: list[Tensor]) -> PackedSequence:
    """B 條 (T_i, D) -> PackedSequence。"""
    raise NotImplementedError("TODO 025")


def unpack(packed: PackedSequence) -> list[Tensor]:
    """PackedSequence -> B 條 (T_i, *)，原來的順序與長度。"""
    raise NotImplementedError("TODO 025")


def last_outputs(rnn: nn.GRU | nn.LSTM, sequences: list[Tensor]) -> Tensor:
    """B 條 (T_i, D) -> (B, H)，各條最後一步的輸出。"""
    raise NotImplementedError("TODO 025")
