"""080 · 使用 torch.profiler 分析模型的性能瓶頸

題目
    模型太慢時先量再改。torch.profiler 記下每個運算（operator）的次數與時間；找瓶頸要看的是 self time：

        total time   連它呼叫的其他運算一起算。aten::linear 的 total 包含裡面的 aten::addmm，排在前面的
                     往往只是外殼
        self time    扣掉它呼叫的其他運算，才是這個運算自己花的

    暖身要在記錄之外：第一次呼叫常常慢上好幾倍。用 schedule(wait, warmup, active) 也可以，但許多範例在最後一步
    之後又呼叫了 p.step()：記錄的區間就此關閉，換到下一個區間，key_averages() 什麼也沒有。

介面
    OpStat
        name             運算的名稱，例如 "aten::mm"，就是 key_averages() 的 key
        calls            steps 次 forward 合計呼叫了幾次，int；同一個名稱只有一項，不論輸入的形狀
        self_cpu_us      steps 次合計的 self CPU time，微秒，float
        self_device_us   steps 次合計的 self device time，微秒，float 或 int；沒有用到 GPU 時是 0
    profile_model(model, inputs, *, steps=5, trace_path=None, top_k=10) -> list[OpStat]
        先暖身至少一次，再記錄 steps 次 model(inputs)；暖身不計入任何數字。
        依 self time 由大到小，至多 top_k 個：inputs 在 CUDA 上時依 self_device_us，否則依 self_cpu_us。
        schedule 產生的 "ProfilerStep*" 不是運算，不在其中。
        給了 trace_path（str 或 Path，資料夾已經存在）就把 Chrome trace 寫到那裡；沒給就不寫檔。
        eval 模式，不建計算圖；之後每個子模組的模式都還原。

評分
    形狀  傳回 OpStat 的 list，各欄位的型別；至多 top_k 個，預設 10
    數值  calls 恰好是每次 forward 的次數 × steps；self_cpu_us 與運算自己記下的時間相差不到 15%
    行為  刻意放慢的運算依 self time 的順序排列，外殼與呼叫很多次的小運算不會跑到前面；整個 list 由大到小；
          top_k 個是全部之中最大的；暖身至少一次；trace 是可以讀的 JSON，含有那些運算；
          沒給 trace_path 時工作目錄裡沒有多出檔案；
          eval 模式、grad mode 關閉；模式還原，模型與 inputs 不變；
          在 CUDA 上有 device time，最慢的 kernel 所屬的運算排在前面

範例
    >>> stats = profile_model(nn.Sequential(nn.Linear(8, 8), nn.ReLU()), torch.zeros(4, 8), steps=3, top_k=100)
    >>> [stat.calls for stat in stats if stat.name == "aten::addmm"]
    [3]

面試追問
    1. GPU 的使用率很低，trace 裡 kernel 之間都是空白，可能是哪些原因？各怎麼改？
    2. self CPU time 很長、device time 很短的運算代表什麼？什麼時候該用 CUDA graph 或 torch.compile？
    3. 怎麼用 record_function 與 with_stack，把時間對回自己的程式碼？profiler 本身的開銷怎麼估？
"""

import os
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile


@dataclass
class OpStat:
    name: str
    calls: int
    self_cpu_us: float
    self_device_us: float


def profile_model(
    model: nn.Module,
    inputs: Tensor,
    *,
    steps: int = 5,
    trace_path: str | os.PathLike | None = None,
    top_k: int = 10,
) -> list[OpStat]:
    """最花時間的 top_k 個運算，依 self time 由大到小。"""
    raise NotImplementedError("TODO 080")
