"""092 · 使用 torch.quantization 來量化模型以減少其大小

題目
    靜態量化連 activation 的範圍也事先定好：先讓模型看幾個 batch 的代表性資料（校正，calibration），記下每一層
    activation 的範圍，之後的推論就全程用 8 位元整數。比動態量化快，代價是校正資料要像真的資料：範圍定得太小，
    推論時就截掉了。

    傳統的做法是 torch.ao.quantization：QuantWrapper 或 QuantStub、prepare、餵資料、convert。torch 已把它標示為
    deprecated，接替的是 torchao 的 PT2E：torch.export、prepare_pt2e、餵資料、convert_pt2e。用哪一個、或自己寫都
    可以：評的是結果。用 PT2E 時要注意，convert_pt2e 之後原來的 float 權重還留在模組裡（state_dict 反而比原來大），
    計算圖已經用不到的要自己刪掉。

    量大小時，torch.save 的傳回值是 None；要量的是它寫出了多少 byte。

介面
    quantize_static(model, calibration_batches) -> nn.Module
        model 在 CPU 上，是 nn.Linear 與 nn.ReLU 組成的 nn.Sequential，處在 eval 模式；train 模式時拋出 ValueError。
        calibration_batches 是幾個 (B, D) 的張量組成的 list；是空的則拋出 ValueError。
        傳回的模型直接用來推論，batch 大小不限（不會再對它呼叫 eval()）。
    size_report(original, quantized) -> SizeReport
        original_bytes、quantized_bytes 是兩個模型的 state_dict 以 torch.save 存檔的 byte 數（int）；
        ratio = quantized_bytes / original_bytes。

評分
    形狀  輸出的形狀與 dtype（float32）同原來的模型
    數值  手寫數字（scikit-learn 的 load_digits）的準確率，最多比 float32 的模型低 2 個百分點
          與原來的輸出相比，訊雜比 10·log10(Σy² / Σ(y − ŷ)²) 至少 20 dB
          size_report 的三個欄位（byte 數相差 1% 以內）：float 的、量化過的模型都是
    行為  state_dict 存檔不超過原來的 35%（模型約 340 kB，各層寬 256）；模型裡也不另外留著 float 的權重
          校正有作用：用小 20 倍的資料校正，正常的輸入就被截掉，訊雜比不到 5 dB；隱藏層的也是
          校正看每一個 batch：其中幾個的值小 20 倍時，訊雜比仍至少 20 dB
          activation 是 8 位元：比一步小得多的輸入（0.0005，校正資料在 0 到 1）與 0 的輸出相同
          原來的模型沒有變：參數、模式、模組的種類與屬性、hook；train 模式、沒有校正資料時拋出 ValueError

範例
    >>> model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)).eval()
    >>> small = quantize_static(model, [torch.rand(16, 64)])
    >>> small(torch.rand(3, 64)).shape
    torch.Size([3, 10])
    >>> size_report(model, small).ratio < 0.5
    True

面試追問
    1. MinMax、Histogram、Percentile 的 observer 各怎麼選範圍？有離群值時差在哪裡？
    2. 為什麼要先 fuse Linear 與 ReLU（卷積與 batch norm）才量化？
    3. 準確率掉太多時，怎麼找出是哪一層？什麼時候該改用 quantization-aware training？
"""

import copy
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class SizeReport:
    original_bytes: int
    quantized_bytes: int
    ratio: float


def quantize_static(model: nn.Module, calibration_batches: Iterable[Tensor]) -> nn.Module:
    """以 calibration_batches 定出各層 activation 的範圍，傳回權重與 activation 都是 8 位元的新模型。"""
    raise NotImplementedError("TODO 092")


def size_report(original: nn.Module, quantized: nn.Module) -> SizeReport:
    """兩個模型的 state_dict 存檔各是幾個 byte，以及後者是前者的幾倍。"""
    raise NotImplementedError("TODO 092")
