"""077 · 測試模型在 GPU 和 CPU 上的推理速度，並比較結果

題目
    在一個裝置上量推理的時間，看起來只要 time.time() 一前一後，其實有四個陷阱：

        非同步    CUDA 的 kernel 只是排進佇列，model(x) 立刻返回；停錶前要 torch.cuda.synchronize()
        暖身      開頭幾次特別慢（配置記憶體、選演算法、載入 kernel），先跑 warmup 次，不計
        離群值    別的程式搶走 CPU，或 GC 剛好發生，會有幾次特別慢：報中位數，不報平均
        搬移      把模型與輸入搬到裝置上的時間不算

    計時用 time.perf_counter()；time.time() 可能被校時往回撥。

介面
    measure_inference_time(model, inputs, *, device, warmup=10, iterations=50) -> float
        把模型與 inputs 搬到 device，暖身 warmup 次，再量 iterations 次，每次呼叫各自計時；傳回中位數，秒。
        恰好呼叫模型 warmup + iterations 次；eval 模式，不建計算圖。
        之後模型回到原來的裝置，每個子模組的模式也都還原，發生例外時也是。inputs 不變。
        device 是字串或 torch.device；這台機器沒有的裝置，拋出 RuntimeError（只有 CPU 的 torch，.to("cuda") 拋出的
        是 AssertionError，要換成它）。
        model 有參數，都在同一個裝置上；inputs (N, ...)。
    compare_devices(model, inputs, devices=None) -> dict[str, float]
        每個裝置的 measure_inference_time（warmup、iterations 用預設），鍵是 str(device)，順序與 devices 相同。
        devices 是 None 時為 "cpu"，有 CUDA 的機器再加上 "cuda"。

評分
    形狀  傳回 float；compare_devices 的鍵
    數值  模型睡一段時間，並自己記下花了多久：與紀錄的中位數相差不到 15%（暖身的每次 45 毫秒；量的 13 次中 6 次 5 毫秒、
          6 次 150 毫秒，中間的一次 20 毫秒）；compare_devices 也是
    行為  呼叫次數；eval 模式、grad mode 關閉；模式與裝置還原，模型與 inputs 不變，模型拋出例外時也是；
          沒有的裝置拋出 RuntimeError，模型不變；
          在 CUDA 上，排進佇列的工作也算進去，模型量完回到原來的裝置

範例
    >>> model, x = nn.Linear(4, 2), torch.zeros(8, 4)
    >>> measure_inference_time(model, x, device="cpu", warmup=1, iterations=5) > 0
    True
    >>> list(compare_devices(model, x, ["cpu"]))
    ['cpu']

面試追問
    1. 小模型、batch 是 1 時，GPU 為什麼可能比 CPU 慢？怎麼看出瓶頸是 kernel launch？
    2. torch.cuda.Event 與 perf_counter 加 synchronize 量到的有什麼不同？各適合什麼？
    3. 這樣量到的時間，與真實服務裡的差在哪裡（快取、頻率、其他請求）？
"""

import statistics
import time
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def measure_inference_time(
    model: nn.Module, inputs: Tensor, *, device: str | torch.device, warmup: int = 10, iterations: int = 50
) -> float:
    """在 device 上推理一次的時間：iterations 次的中位數，秒。inputs (N, ...)。"""
    raise NotImplementedError("TODO 077")


def compare_devices(
    model: nn.Module, inputs: Tensor, devices: Iterable[str | torch.device] | None = None
) -> dict[str, float]:
    """各裝置推理一次的時間，秒。"""
    raise NotImplementedError("TODO 077")
