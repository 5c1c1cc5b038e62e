"""065 · 模型的早停（Early Stopping）

題目
    把早停寫成一個可以重複使用的物件：訓練循環每驗證一次就呼叫 step(value, model)，它記住最好的權重，並說何時該停。

        改善      mode = "min"：value 比 best_value 小，而且小了超過 min_delta
                  mode = "max"：value 比 best_value 大，而且大了超過 min_delta
                  恰好差 min_delta 不算；NaN 不算；第一個不是 NaN 的 value 一定算
        有改善    best_value、best_step 換成這一步的，bad_steps 歸零，複製一份當時的權重
        沒有改善  bad_steps 加 1，其他都不變：差距不到 min_delta 的小進步也不會更新 best_value
        該停了    連續 patience 步沒有改善，第 patience 步的 step 傳回 True，在那之前都是 False

    網路上流傳的早停有兩個常見的錯：value 與 best_value 相同也當成改善，於是停滯的訓練永遠不停；
    best = model.state_dict() 沒有複製，拿到的是模型自己的張量，訓練下去它也跟著變。

介面
    EarlyStopping(patience=5, *, min_delta=0.0, mode="min")
        patience < 1，或 mode 不是 "min"、"max"，拋出 ValueError，訊息含該值。min_delta 不會是負數。
    step(value, model) -> bool
        value 是 Python float，有限值或 NaN。不改動 model。傳回 True 之後不會再呼叫。
    restore(model)
        把最好的那一步的權重寫回 model 原有的參數與 buffer：model.state_dict() 裡的一切，dtype 與裝置不變，模式不變。
        model 可以是結構相同的另一個模型。可以呼叫多次：每次寫回的都是同一份。
        還沒有最好的權重（沒有 step 過，或 value 到目前都是 NaN）時拋出 RuntimeError。
    best_value    目前最好的 value，float；還沒有時不限
    best_step     最好的 value 是第幾步，int，從 1 數起；還沒有時是 None
    bad_steps     目前連續沒有改善的步數，int，開始時是 0
    state_dict()、load_state_dict(state)
        state 經過 torch.save 與 torch.load（預設的 weights_only=True）之後，交給設定相同的新物件，
        它就和原來的一樣：數到第幾步、最好的權重都在內。

評分
    形狀  step 傳回 bool；best_step、bad_steps、best_value 的型別；開始時的值
    數值  隨機的設定與 value（含負數、NaN），每一步的傳回值與三個屬性都等於逐步推算的
    行為  何時停；min 與 max；恰好差 min_delta；累積的小進步；NaN；參數的預設值；
          restore 還原參數與 buffer，之後繼續訓練、再還原也是同一份，寫回原有的張量，可以寫回另一個模型；
          沒有可還原的：RuntimeError；step 不改動模型，restore 不改變模式；
          存檔接續；不合法的 patience、mode：ValueError

範例
    >>> model = nn.Linear(2, 1)
    >>> stopper = EarlyStopping(patience=2)
    >>> [stopper.step(loss, model) for loss in [0.9, 0.7, 0.7, 0.8]]
    [False, False, False, True]
    >>> stopper.best_value, stopper.best_step, stopper.bad_steps
    (0.7, 2, 2)
    >>> stopper.restore(model)

面試追問
    1. 最好的權重留在 GPU、搬到 CPU、還是寫到磁碟？模型很大時各有什麼代價？
    2. 用驗證集決定停在哪裡，驗證集的成績為什麼偏樂觀？小資料集該怎麼辦？
    3. 早停為什麼有正則化的效果？與學習率調度一起用時，兩者會怎麼互相干擾？
"""

import copy
import math
from typing import Any

import torch
from torch import nn


class EarlyStopping:
    best_value: float | None
    best_step: int | None
    bad_steps: int

    def __init__(self, patience: int = 5, *, min_delta: float = 0.0, mode: str = "min") -> None:
        raise NotImplementedError("TODO 065")

    def step(self, value: float, model: nn.Module) -> bool:
        """記下一次驗證的結果；該停了就傳回 True。"""
        raise NotImplementedError("TODO 065")

    def restore(self, model: nn.Module) -> None:
        """把最好的那一步的權重寫回 model。"""
        raise NotImplementedError("TODO 065")

    def state_dict(self) -> dict[str, Any]:
        """接續所需的一切。"""
        raise NotImplementedError("TODO 065")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """從 state_dict() 接續。"""
        raise NotImplementedError("TODO 065")
