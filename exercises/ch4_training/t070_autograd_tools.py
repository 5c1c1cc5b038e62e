"""070 · 使用 torch.autograd 來計算張量的梯度

題目
    以 torch.autograd 寫三個小工具，f 是任意的可微函數：

        gradient(f, x)    f 的值只有一個元素     ∂f/∂x，形狀同 x
        jacobian(f, x)    f: (n,) -> (m,)        J[i, j] = ∂f_i / ∂x_j，形狀 (m, n)，橫列是輸出
        hvp(f, x, v)      f 的值只有一個元素     H v，H 是 f 的 Hessian；H 有 n² 個元素，不要真的做出來

    一次反向傳播算的是 vᵀJ。逐個輸出各反向一次要 m 次；把 m 個 v（單位矩陣的各列）疊成一批，一次就夠。
    H v 則是「梯度與 v 的內積」再求一次梯度：兩次反向，記憶體與 n 成正比。

    f 可以根本不理會 x（例如傳回常數），導數就是 0。這時結果可能沒有 grad_fn，也可能有 grad_fn 卻連不到 x。
    torch.autograd.grad 的 materialize_grads=True 能把 None 補成 0，但與 is_grads_batched=True 合用時，
    補出來的形狀是 (n,) 而不是 (m, n)。

介面
    gradient(f, x)     x 是任意形狀的浮點張量，可以不連續；f(x) 的元素多於一個時拋出 ValueError，
                       訊息寫出 f(x) 的形狀或元素個數。
    jacobian(f, x)     x (n,)，f(x) (m,) -> (m, n)。
    hvp(f, x, v)       x (n,)、v (n,) -> (n,)。
    結果的 dtype 與裝置同 x。f 只用到 torch 的運算，內部可能用到別的、需要梯度的張量（例如模型的參數）。

評分
    形狀  形狀與 dtype 如上（float32、float64）
    梯度  float64 下與導數的公式相差 1e-9 以內（相對誤差）；f 的值、斜率很大時也一樣準
          f 不理會 x、只用到一部分的 x 時，沒用到的地方是 0；線性函數的 hvp 是 0
    行為  x 維持原樣：數值、requires_grad、grad；f 用到的其他張量的 grad 也不變
          gradient 遇到多於一個元素的 f(x) 拋出 ValueError，f 不理會 x 時也是
          反向傳播的次數：jacobian 不隨輸出的個數 m 增加，hvp 不隨 n 增加
          n = 10,000 時 hvp 增加的記憶體不到 200 MiB（float32 的 Hessian 就要 381 MiB）
    速度  64 個輸出的 jacobian，不超過參考解的 18 倍，也不逐個輸出迴圈
    禁用  torch.autograd.functional、torch.func 的 jacrev、jacfwd、hessian

範例
    >>> x = torch.tensor([1.0, 2.0, 3.0])
    >>> gradient(lambda t: (t**2).sum(), x)
    tensor([2., 4., 6.])
    >>> jacobian(lambda t: torch.stack([t.sum(), t.prod()]), x)
    tensor([[1., 1., 1.],
            [6., 3., 2.]])
    >>> hvp(lambda t: (t**3).sum(), x, torch.tensor([1.0, 0.0, -1.0]))
    tensor([  6.,   0., -18.])

面試追問
    1. 反向模式（vjp）與前向模式（jvp）各適合怎樣的 Jacobian？
       hvp 用 reverse-over-reverse 與 forward-over-reverse 又差在哪裡？
    2. create_graph=True 會留下什麼？在訓練迴圈裡忘了釋放會怎樣？
    3. 只用 hvp，怎麼求 Hessian 的最大特徵值，或解 H x = b？
"""

from collections.abc import Callable

import torch
from torch import Tensor


def gradient(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """x (*) -> (*)：純量函數 f 在 x 的梯度。"""
    raise NotImplementedError("TODO 070")


def jacobian(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """x (n,)，f(x) (m,) -> (m, n)：第 i 列是 f(x)[i] 的梯度。"""
    raise NotImplementedError("TODO 070")


def hvp(f: Callable[[Tensor], Tensor], x: Tensor, v: Tensor) -> Tensor:
    """x (n,)、v (n,) -> (n,)：純量函數 f 在 x 的 Hessian 乘以 v。"""
    raise NotImplementedError("TODO 070")
