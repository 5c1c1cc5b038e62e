"""075 · 將 PyTorch 模型量化以減少模型大小

題目
    動態量化（dynamic quantization）是最省事的壓縮：權重先存成 8 位元整數，activation 在推論時才看當下的範圍量化成
    8 位元，所以不需要任何資料。適合 Linear 與 LSTM：它們的時間花在搬權重，檔案約是原來的四分之一。

    torch.ao.quantization.quantize_dynamic 一行就能做到，網路上的教學都用它；但 torch 已把 torch.ao 標示為
    deprecated，接替的是 torchao 的 quantize_（Int8DynamicActivationInt8WeightConfig），而 torchao 沒有 LSTM。
    用哪一個、兩個都用、或自己寫都可以：評的是結果。torch.ao 的 dtype=torch.float16 存檔並不會變小。

    大小要量存檔：量化後的權重包在 packed 物件裡，不是 parameter，sum(p.numel() ...) 會以為模型是空的。

介面
    quantize_dynamic_int8(model) -> nn.Module
        model 在 CPU 上，可能在 train 或 eval 模式，裡面（不論第幾層）有 nn.Linear（輸入 256 以上的為主）與
        單層、單向、batch_first=True 的 nn.LSTM（hidden 128 以上，不給初始狀態）。
        傳回的模型用法與原來的相同，供推論用；量化後的權重也在它的 state_dict 裡。
    model_size_bytes(model) -> int
        model.state_dict() 以 torch.save 存檔的大小，單位是 byte。

評分
    形狀  輸出的形狀與 dtype（float32）同原來的模型
    數值  與原來的輸出相比，訊雜比 10·log10(Σy² / Σ(y − ŷ)²) 至少 25 dB；
          輸入放大、縮小一百倍時也是（activation 的範圍是當下看的）
    行為  state_dict 存檔是原來的 15% 到 32%，Linear 與 LSTM 都是；模型裡也不另外留著 float 的權重
          Linear 與 LSTM 的輸入（activation）也量化成 8 位元：有離群值（3000）時，1 左右的元素就看不見了
          原來的模型沒有變：參數、模式、模組的種類
          model_size_bytes 與實際存檔相差 1% 以內：一般的、有 buffer 的、共用權重的、小張量很多的、量化過的模型；
          量完不在工作目錄留下檔案

範例
    >>> model = nn.Sequential(nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 512))
    >>> small = quantize_dynamic_int8(model)
    >>> model_size_bytes(model) > 3.5 * model_size_bytes(small)
    True

面試追問
    1. 動態量化為什麼對卷積幫助不大？什麼時候該改用靜態量化？
    2. 權重用 per-channel 的 scale，activation 卻很少用，為什麼？
    3. 大型語言模型的 activation 有離群值，上面那個檢查就是它的縮影。LLM.int8()、SmoothQuant 怎麼處理？
"""

import copy
import io
import warnings

import torch
from torch import nn


def quantize_dynamic_int8(model: nn.Module) -> nn.Module:
    """Linear 與 LSTM 的權重換成 int8、activation 在執行時量化的新模型；原來的不變。"""
    raise NotImplementedError("TODO 075")


def model_size_bytes(model: nn.Module) -> int:
    """model 的 state_dict 以 torch.save 存檔後的 byte 數。"""
    raise NotImplementedError("TODO 075")
