"""081 · 測量模型的延遲和吞吐量

題目
    部署時要回答兩個問題：一次呼叫要等多久（latency），一秒能處理幾筆（throughput）。

        延遲      每次呼叫各量一次，報平均與 p50、p95、p99，單位毫秒。使用者感覺到的是尾巴，平均看不出來
        吞吐量    samples/s：runs 次呼叫處理的總筆數 ÷ 這 runs 次花的總秒數。一次呼叫處理的是一整個 batch

    網路上常見的兩個錯：用 平均 + 1.645·標準差 估 p95（延遲的分布不是常態，尾巴很長）；在 GPU 上只量
    model(x) 這一行：kernel 是非同步的，沒有 synchronize，量到的只是把工作排進佇列的時間。

    開頭幾次呼叫特別慢（配置記憶體、選演算法、編譯 kernel），先跑 warmup 次，不計入任何數字。

介面
    PerfReport
        mean_ms、p50_ms、p95_ms、p99_ms、throughput，都是 Python float。
        百分位落在兩個值之間時怎麼內插不拘。runs 是 1 時，四個延遲都是那一次的時間。
    measure_performance(model, inputs, *, runs=100, warmup=10) -> PerfReport
        inputs (N, ...)，與模型在同一個裝置；每次呼叫都給整個 inputs，N 筆。
        恰好呼叫模型 warmup + runs 次，前 warmup 次不計；warmup 可以是 0。
        eval 模式，不建計算圖；之後每個子模組的模式都還原。
        runs 小於 1 時拋出 ValueError，訊息含 runs 的值。

評分
    形狀  傳回 PerfReport，各欄位是 float
    數值  模型每次睡一段不一樣長的時間，並自己記下花了多久：各欄位與這份紀錄相差不到 15%（100 次中 5 毫秒的
          有 90 次，15 毫秒 7 次，50 毫秒 3 次，順序打散；暖身的 3 次各 100 毫秒）；runs 是 1 時也是；
          200 次中只有一次 300 毫秒時，平均與吞吐量也是，p99 不到它的一半
    行為  呼叫次數；eval 模式、grad mode 關閉；模式還原，模型與 inputs 不變；runs 小於 1 時拋出 ValueError；
          在 CUDA 上，排進佇列的工作也算進去

範例
    >>> report = measure_performance(nn.Linear(4, 2), torch.zeros(8, 4), runs=20, warmup=2)
    >>> report.p50_ms <= report.p99_ms, report.throughput > 0
    (True, True)

面試追問
    1. batch 變大時，延遲與吞吐量各怎麼變？線上服務怎麼在兩者之間選？
    2. 只有 100 次測量，報得出可信的 p99 嗎？p99.9 呢？
    3. 請求的到達是隨機的時候，這樣一次接一次量出的延遲，和使用者感受到的差在哪裡（coordinated omission）？
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class PerfReport:
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    throughput: float


def measure_performance(model: nn.Module, inputs: Tensor, *, runs: int = 100, warmup: int = 10) -> PerfReport:
    """延遲（毫秒）與吞吐量（samples/s）。inputs (N, ...)。"""
    raise NotImplementedError("TODO 081")
