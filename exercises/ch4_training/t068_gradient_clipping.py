"""068 · 梯度截斷（Gradient Clipping）

題目
    梯度偶爾爆炸時，更新前先把它截短。自己寫出 torch.nn.utils 的兩個函式，結果要相同：

        clip_grad_norm     把所有梯度當成一個長向量，範數超過 max_norm 就整體等比例縮小，方向不變
                           total = ‖所有梯度‖_p，每個梯度乘以 min(1, max_norm / (total + 1e-6))
        clip_grad_value    每個元素各自截在 [−clip_value, clip_value]，方向會變

    範數取的是所有參數合起來的一個數，不是每個參數各截各的：各截各的會改變更新的方向。
    1e-6 是 torch 的公式裡的，梯度很小時看得出來。

介面
    clip_grad_norm(parameters, max_norm, norm_type=2.0)
        norm_type 是 p-範數的 p，正數，也可以是 math.inf（絕對值的最大值）。max_norm 也可以是 math.inf。
        傳回截斷之前的範數：與梯度同 dtype、同裝置的純量張量；沒有任何梯度時是 0 的純量張量。
    clip_grad_value(parameters, clip_value)
    parameters 是一個張量、list，或只能走一遍的 iterator（例如 model.parameters()）；.grad 為 None 的參數略過。
    各個梯度的 dtype 與裝置相同，形狀不限，記憶體可以不連續。都直接改在原有的梯度張量上（DDP 等會持有它們的記憶體）。

評分
    形狀  傳回純量張量，dtype 與梯度相同
    數值  p 為 1、2、3、inf 時的範數與截斷後的梯度（float64 的以 float64 算）；很小的梯度照上式；clip_grad_value 的結果
    行為  範數不超過 max_norm 的梯度一個位元都不變，梯度全是 0 也是；張量、list、iterator 都可以；略過 None；
          沒有參數、或全都沒有梯度時傳回 0；改在原有的梯度張量上；不改動權重；
          把張量的值讀回 Python（item、float、bool、tolist、numpy、cpu）的次數不隨參數個數增加：在 GPU 上每次都要等
    禁用  torch.nn.utils 的 clip_grad_norm_、clip_grad_value_、get_total_norm、clip_grads_with_norm_

範例
    >>> a, b = (torch.zeros(2, requires_grad=True) for _ in range(2))
    >>> a.grad, b.grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, -4.0])
    >>> clip_grad_norm([a, b], 1.0)
    tensor(5.)
    >>> a.grad, b.grad
    (tensor([0.6000, 0.0000]), tensor([ 0.0000, -0.8000]))

面試追問
    1. 用 GradScaler 的混合精度訓練，clip 要放在哪裡？為什麼之前要先 unscale_？
    2. gradient accumulation 時，每個 micro-batch 都截，與累積完才截，有什麼不同？
    3. 參數分散在多張卡上（FSDP、tensor parallel）時，整體的範數怎麼算？
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def clip_grad_norm(parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> Tensor:
    """把所有梯度的整體範數截到 max_norm，傳回截斷之前的範數。"""
    raise NotImplementedError("TODO 068")


def clip_grad_value(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """把梯度的每個元素截在 [−clip_value, clip_value]。"""
    raise NotImplementedError("TODO 068")
