"""086 · 使用 torch.jit 來加速模型的推理

題目
    推論時權重不再變，很多工作可以事先做完。TorchScript 的做法：

        freeze     把參數與 buffer 變成計算圖裡的常數，再也不能訓練
        摺疊 BN    eval 的 batch norm 是一次線性轉換；緊接在 Conv2d 後面的可以併進卷積的權重：
                       W' = W · γ / √(σ² + ε)，  b' = (b − μ) · γ / √(σ² + ε) + β
                   少了一整次讀寫記憶體。不是緊接在卷積後面的（例如隔著 ReLU）不能這樣併
        fusion     把相鄰的運算合起來，減少呼叫的次數與記憶體的讀寫

    三件事都只在 eval 模式下成立：train 模式的 batch norm 用的是當時那一批的統計量。原模型之後可能還要
    訓練，一點也不能動。

    TorchScript 已不再發展：torch 2.9 起 torch.jit 的這些函式都會發出 deprecated 的警告，新的專案用
    torch.compile，要離線部署用 torch.export 加 AOTInductor。這一題照舊傳回 ScriptModule；用
    torch.jit.trace 或 script，由 torch.jit.freeze、torch.jit.optimize_for_inference 或自己摺疊都可以。

介面
    optimize_for_inference(model, example) -> torch.jit.ScriptModule
        model    輸入一個 tensor、輸出一個 tensor 的卷積網路，可以 trace 也可以 script；各個子模組可能在
                 train 或 eval 模式，可能有 dropout。
        example  範例 (batch, C, H, W)；最佳化之後 batch 仍可以是任何大小。

評分
    數值  在 batch 為 1、3、8 時與 eval 模式的模型相差不到 1e-5（第一次呼叫與之後的都是）
    行為  傳回 ScriptModule，沒有任何參數（parameters() 是空的）；計算圖裡沒有輸入直接來自卷積的
          batch norm，其餘的 batch norm 可以留著；
          原模型的參數、buffer、requires_grad、每個子模組的模式都不變；不寫任何檔案，暫存檔也不寫
    速度  在 Conv2d、BatchNorm2d、ReLU 疊成的網路上，時間不超過原模型（eval、no_grad）的 1.5 倍

範例
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> fast = optimize_for_inference(model, torch.zeros(2, 3, 8, 8))
    >>> len(list(fast.parameters())), "batch_norm" in str(fast.graph), model.training
    (0, False, True)

面試追問
    1. 卷積的輸出另外還被別處用到時，還能摺疊後面的 batch norm 嗎？
    2. freeze 之後再原地修改原模型的權重，ScriptModule 的結果會變嗎？為什麼有的權重會、有的不會？
    3. torch.compile 與 TorchScript 取得計算圖的方式有什麼根本的不同？
"""

import warnings

import torch
from torch import Tensor, nn


def optimize_for_inference(model: nn.Module, example: Tensor) -> torch.jit.ScriptModule:
    """model 的推論版：凍結、摺疊了 batch norm 的 ScriptModule。example (batch, C, H, W)。"""
    raise NotImplementedError("TODO 086")
