"""058 · 使用混合精度訓練來加速模型訓練

題目
    寫出混合精度訓練的一步：矩陣乘法用 16 位元算，參數、梯度與更新仍是 float32。依序：

        清掉舊的梯度 → 在 autocast 裡 forward → 損失 → （放大）backward →（除回來、截斷）→ 更新 →（調整 scale）

    幾個容易錯的地方：

        autocast        只包 forward。它替每個運算挑 dtype：matmul 用 16 位元，參數本身不動；backward 會自動用
                        forward 時的 dtype，不必也不該包進去。model.half() 是另一回事：參數成了 16 位元，
                        小的更新加不上去
        損失            模型的輸出是 16 位元的，先轉成 float32 再交給 criterion
        GradScaler      float16 的小梯度會變成 0，所以損失先放大再 backward。截斷要在除回來（unscale_）之後，
                        否則截的是放大了的梯度；bfloat16 的範圍與 float32 相同，不需要它
        舊的寫法        torch.cuda.amp.autocast 與 torch.cpu.amp.autocast 已棄用，而且綁死了裝置；
                        現在是 torch.autocast(裝置類型, dtype=...)

介面
    amp_train_step(model, optimizer, criterion, x, y, *, dtype=torch.bfloat16, scaler=None, max_norm=None) -> float
        model      參數是 float32，與 x、y 在同一個裝置上；模式由呼叫者設好。model(x) 傳回一個張量
        optimizer  管 model 的參數；它們可能還留著舊的梯度，不能算進來
        criterion  criterion(outputs, y) 是純量；outputs 是 float32，y 原樣交給它
        dtype      torch.bfloat16 或 torch.float16
        scaler     torch.amp.GradScaler，或 None：不放大，直接 backward 與更新。
                   有 scaler 時更新經過 scaler.step，之後 scaler.update 一次；溢位時它會跳過更新
        max_norm   梯度的整體 2-範數截到 max_norm（torch.nn.utils.clip_grad_norm_），有沒有 scaler 都一樣；None 不截
        傳回更新之前、沒有放大的損失，Python float。

評分
    形狀  傳回 float
    數值  損失與 float32 的相差不到 2%；一步 SGD 的更新與 float32 的更新之差，範數不到後者的 15%；
          有沒有 scaler 都是；截斷後更新的範數恰是 lr · max_norm（誤差 0.5%），不必截斷時不變
    行為  每個 nn.Linear 的輸出是 dtype（以 hook 觀察），預設 bfloat16；參數與梯度一直是 float32，參數還是原來的物件；
          不把 train() 的模型切到 eval()，不重設全域亂數的種子；criterion 收到 float32 的輸出與原來的 y；
          backward 時 autocast 已關閉；舊的梯度不算；
          scaler 的呼叫依序是 scale、unscale_、step、update，各一次（沒有 max_norm 時 unscale_ 可有可無）；
          溢位時參數不變、scale 縮小；沒有已棄用的 amp 警告
    CUDA  float16 加 GradScaler 也如上；以矩陣乘法為主的模型，比 float32 快

範例
    >>> model = nn.Linear(3, 1)
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> loss = amp_train_step(model, sgd, nn.MSELoss(), torch.ones(4, 3), torch.zeros(4, 1))
    >>> type(loss).__name__, model.weight.dtype
    ('float', torch.float32)

面試追問
    1. autocast 的 float32 名單裡有 softmax、layer_norm、各種 loss：為什麼？自己寫的 CUDA 運算怎麼配合？
    2. 參數為什麼要留一份 float32？以 bfloat16 存參數、lr = 1e-3 更新，會發生什麼事？
    3. gradient accumulation 加 GradScaler 時，哪幾行每個 micro-batch 都做，哪幾行只在最後做？
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def amp_train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    *,
    dtype: torch.dtype = torch.bfloat16,
    scaler: torch.amp.GradScaler | None = None,
    max_norm: float | None = None,
) -> float:
    """混合精度訓練一步，傳回更新之前、沒有放大的損失。"""
    raise NotImplementedError("TODO 058")
