"""071 · 模型的混合精度訓練（Mixed Precision Training）

題目
    float16 最小的正數約是 6e-8，不到一半的梯度一律變成 0。loss scaling 的辦法：損失先乘上 scale 再 backward，
    梯度在 float16 裡就跟著放大 scale 倍，更新之前再除回來。scale 太大則溢位成 inf，所以要動態調整。
    自己寫出 torch.amp.GradScaler 的核心，scale 的變化與跳過的步驟要和它相同：

        for x, y in loader:
            loss = criterion(model(x), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()    # 梯度是 scale 倍
            scaler.unscale_(optimizer)       # 可省略；要截斷梯度時才需要，截的才是真正的梯度
            clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)           # 還沒 unscale_ 就先做；梯度有 inf 或 NaN 就跳過這一步
            scaler.update()                  # 調整 scale

        update：上一次 update 以來，任何一個 optimizer 的梯度有 inf 或 NaN：scale 乘 backoff_factor，計數歸零；
                否則計數加 1，滿 growth_interval 次：scale 乘 growth_factor，計數歸零

介面
    LossScaler(init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000)
    scale(loss) -> Tensor
        loss 是 float32 的純量張量；傳回乘上 scale 的，仍連著計算圖。loss 本身不變。
    unscale_(optimizer)
        把 optimizer 每個群組的每個參數的梯度就地除以 scale，並判斷有沒有 inf 或 NaN：看的是這時的梯度，
        之後再改動（例如截斷）也不影響要不要跳過。參數都是 float32；.grad 是 None 的略過。
        同一個 optimizer 在 update 之前第二次呼叫，拋出 RuntimeError，梯度不變。
    step(optimizer) -> bool
        每個 optimizer 各看各的梯度。有 inf 或 NaN 就不呼叫 optimizer.step()，傳回 False；否則呼叫，傳回 True。
        參數全都沒有梯度時照樣呼叫（GradScaler 會拋出 AssertionError，這裡不學它）。
        梯度留著，由使用者清。update 之前，同一個 optimizer 最多 step 一次。
    update()
        一次迭代的最後呼叫，只呼叫一次；在那之前至少有一次 step。
    get_scale() -> float
    state_dict()、load_state_dict(state)
        只在 update 之後呼叫。state 經過 torch.save 與 torch.load（預設的 weights_only=True）之後，
        交給其他引數相同的新物件，scale 與計數都從那裡接續。

評分
    形狀  scale 傳回純量張量；get_scale 傳回 float，step 傳回 bool
    數值  放大後的損失與它的梯度；unscale_ 之後的梯度，就地；引數的預設值；
          隨機的設定下，梯度時而有限、時而含 inf 或 NaN，每次迭代的 scale（相對誤差 1e-6）、是否跳過、
          更新後的參數都與 GradScaler 相同
    行為  連續 growth_interval 次 update 才放大，與 optimizer 的個數無關；溢位時縮小、重新計數；scale 沒有上下限；
          只要一個元素是 inf、-inf 或 NaN 就跳過，參數與 momentum 都不變；有限但很大的梯度不跳過；
          小到 1e-8 的 float16 梯度留得住；
          unscale_ 過的 step 不再除一次，而且用的是之後改過的梯度；重複 unscale_ 拋出 RuntimeError；
          略過沒有梯度的參數；多個 optimizer 與多個群組；存檔接續
    禁用  torch.amp.GradScaler、torch.cuda.amp.GradScaler（包括繼承它們）

範例
    >>> p = nn.Parameter(torch.tensor([1.0]))
    >>> sgd, scaler = torch.optim.SGD([p], lr=1.0), LossScaler(init_scale=8.0, growth_interval=1)
    >>> scaler.scale((0.25 * p).sum()).backward()
    >>> p.grad
    tensor([2.])
    >>> scaler.step(sgd), p.data
    (True, tensor([0.7500]))
    >>> scaler.update()
    >>> scaler.get_scale()
    16.0

面試追問
    1. bfloat16 為什麼通常不需要 loss scaling？它付出了什麼代價？
    2. 檢查 inf 要把一個布林值從 GPU 讀回來。GradScaler 怎麼讓每一步只同步一次？fused optimizer 又怎麼連這一次都省掉？
    3. gradient accumulation 時，scale、unscale_、step、update 各在哪裡呼叫？為什麼累積到一半不能 update？
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class LossScaler:
    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
    ) -> None:
        raise NotImplementedError("TODO 071")

    def scale(self, loss: Tensor) -> Tensor:
        """純量 -> 乘上 scale 的純量。"""
        raise NotImplementedError("TODO 071")

    def unscale_(self, optimizer: Optimizer) -> None:
        """就地把 optimizer 的梯度除以 scale。"""
        raise NotImplementedError("TODO 071")

    def step(self, optimizer: Optimizer) -> bool:
        """梯度都有限才更新；傳回是否更新了。"""
        raise NotImplementedError("TODO 071")

    def update(self) -> None:
        """依這次迭代有沒有溢位，調整 scale。"""
        raise NotImplementedError("TODO 071")

    def get_scale(self) -> float:
        """目前的 scale。"""
        raise NotImplementedError("TODO 071")

    def state_dict(self) -> dict[str, Any]:
        """接續所需的一切。"""
        raise NotImplementedError("TODO 071")

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """從 state_dict() 接續。"""
        raise NotImplementedError("TODO 071")
