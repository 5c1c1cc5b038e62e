"""045 · 時間序列預測模型

題目
    以前 window 個值預測接下來的 horizon 個值，三件事：把序列切成訓練樣本、一個 LSTM 模型、用模型一路往後預測。

    切樣本：第 i 個樣本的輸入是 series[i : i + window]，目標緊接在後：series[i + window : i + window + horizon]。
    每次往後移一格，從頭到尾一個都不漏，共 M = N − window − horizon + 1 個。許多文章寫成 range(N − window) 或再減 1，
    前者在 horizon > 1 時越過尾端，後者漏掉最後一個樣本。相鄰的樣本大半重疊，複製出來的資料是原來的 window 倍：
    兩個結果都應是 series 的 view，不配置新的資料。

    往後預測：模型每次都看「最近的 T 個值」，T 是 history 的長度。一次預測出 horizon 個值，全部接在後面，
    最舊的 horizon 個掉出去；再預測下一段，直到有 steps 個，多出來的捨去。

介面
    make_windows(series, window, horizon=1) -> (inputs, targets)
        series 為 (N,)，dtype 不限，記憶體可以不連續；window、horizon ≥ 1。
        inputs (M, window)、targets (M, horizon)。M < 1 時拋出 ValueError，訊息含 N。
    Forecaster(hidden_size, horizon=1)
        lstm：nn.LSTM，輸入一個特徵，batch_first=True，一層、單向；fc：nn.Linear，把最後一步的 h 變成 horizon 個值。
    Forecaster.forward(x)
        x (B, T, 1) -> (B, horizon)。每次呼叫的起始狀態都是 0。
    forecast(model, history, steps) -> (steps,)
        model 是 (B, T, 1) -> (B, horizon) 的 nn.Module，不一定是 Forecaster，horizon 由它的輸出得知；
        history 為 (T,)，T ≥ horizon；steps ≥ 1。結果不帶計算圖，不在模型上留下梯度；模型的模式（train、eval）前後相同。

評分
    形狀  make_windows 兩個結果的形狀與 dtype；Forecaster 的子模組、state_dict 與輸出的形狀（B、T 與 horizon 各種大小）
    數值  make_windows 的每一個值，M = 1、不連續的 series、整數都是；Forecaster 等於 fc(最後一步的 h)；
          forecast 等於照題目逐段手算，horizon 為 1 與 3，steps 不必是 horizon 的倍數
    梯度  make_windows 的梯度流回 series；Forecaster 的輸入與每個參數的梯度
    行為  make_windows 的結果與 series 共用記憶體；太短時拋出 ValueError；Forecaster 不記得上一個 batch；
          forecast 不帶計算圖、不留梯度、不改模式、不改動 history，不動用全域亂數；
          週期 12、雜訊 0.1 的正弦波：window 24、hidden_size 16，以 Adam（lr 1e-2）訓練 150 步，
          之後的均方誤差不超過「明天等於今天」（persistence）的一半

範例
    >>> make_windows(torch.tensor([1, 2, 3, 4, 5]), window=2, horizon=2)
    (tensor([[1, 2],
            [2, 3]]), tensor([[3, 4],
            [4, 5]]))
    >>> Forecaster(8, horizon=3)(torch.zeros(2, 10, 1)).shape
    torch.Size([2, 3])
    >>> forecast(Forecaster(8, horizon=3), torch.zeros(10), steps=7).shape
    torch.Size([7])

面試追問
    1. 一次預測多步（direct）與逐步餵回自己的預測（recursive），誤差各怎麼累積？
    2. 時間序列怎麼切訓練集與驗證集？先切視窗再隨機分，哪裡錯了？
    3. 有趨勢或季節時，為什麼常先取差分或標準化？標準化的平均該用哪一段資料算？
"""

import torch
from torch import Tensor, nn


def make_windows(series: Tensor, window: int, horizon: int = 1) -> tuple[Tensor, Tensor]:
    """series (N,) -> inputs (M, window)、targets (M, horizon)，M = N − window − horizon + 1；都是 series 的 view。"""
    raise NotImplementedError("TODO 045")


class Forecaster(nn.Module):
    def __init__(self, hidden_size: int, horizon: int = 1) -> None:
        super().__init__()
        raise NotImplementedError("TODO 045")

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, 1) -> (B, horizon)。"""
        raise NotImplementedError("TODO 045")


def forecast(model: nn.Module, history: Tensor, steps: int) -> Tensor:
    """history (T,) -> 接下來的 steps 個預測 (steps,)。"""
    raise NotImplementedError("TODO 045")
