"""084 · 模型的單元測試

題目
    模型寫錯了通常不會拋出例外，只是訓練不起來。花一小時訓練之前，先用幾秒鐘測這十件事：

        output_shape        輸出是 (N, C)，N 是 batch 的筆數，C 至少是 target 的最大值 + 1
        gradients           以 train 模式對 cross entropy 做一次 backward，每個要訓練的參數都有梯度（不是 None；
                            恰好是 0 沒有關係）
        dead_output         不同的輸入有不同的輸出：沒有塌成常數
        finite              輸出沒有 NaN、inf
        batch_independence  eval 模式下，一筆的輸出與同一個 batch 裡還有誰無關（相差不到 1e-4）
        deterministic_eval  eval 模式下，同樣的輸入算兩次，結果相同
        logits              輸出是 logits，沒有先做 softmax：cross entropy 自己會做，做兩次梯度就小得可憐
        state_dict          訓練幾步之後存下的 state_dict，載入另一個 make_model() 的模型，eval 模式的輸出相同
        overfits_batch      能把這一個 batch 記住：訓練之後，eval 模式下每一筆都分對
        input_unchanged     forward 沒有就地改動輸入

    batch_independence 有兩個常見而無效的寫法：只比對打亂順序後的結果（對每一筆都減去 batch 的平均，打亂後
    完全一樣）；在 train 模式下測（好好的 batch norm 也會被冤枉）。

介面
    run_model_tests(make_model, example, target) -> list[str]
        make_model  不帶參數，每次呼叫傳回一個新的、隨機初始化的分類模型，與 example 在同一個裝置。
        example     輸入 (N, ...)，N 至少是 2；target (N,) 是類別，int64。
        傳回沒有通過的檢查的名稱（上面十個之中），順序不拘；全部通過就是空的 list。
        檢查某一項時 make_model 或模型拋出例外，那一項就算沒有通過；run_model_tests 自己不拋出例外。
        不改動 example 與 target（即使模型會改動它的輸入），也不改動 torch 的全域亂數狀態。

評分
    行為  五種正常的模型（MLP、CNN，含 dropout、batch norm、residual）都傳回空的 list；它們用 Adam(lr=0.01)
          訓練 example 這一個 batch 200 步之內，eval 模式就全部分對；
          十種毛病各種一個以上的模型，該有的名稱都在結果裡；不相干的 output_shape、finite、input_unchanged 不在；
          模型拋出例外、輸出不是張量、make_model 拋出例外：不往外傳，結果不是空的，名稱都在十個之中；
          example、target 與 torch 的全域亂數狀態不變

範例
    >>> def make_model():
    ...     return nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 2), nn.Softmax(dim=1))
    >>> run_model_tests(make_model, torch.eye(3), torch.tensor([0, 1, 0]))
    ['logits']

面試追問
    1. 這些測試放進 CI，怎麼讓它們又快又不會偶爾失敗？哪些該用固定的種子？
    2. 資料的前處理、loss、評估指標，各該有哪些測試？
    3. 語言模型的 causal mask 怎麼測？（提示：改動後面的 token，前面的輸出不能變）
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def run_model_tests(make_model: Callable[[], nn.Module], example: Tensor, target: Tensor) -> list[str]:
    """沒有通過的檢查的名稱。example (N, ...)，target (N,)。"""
    raise NotImplementedError("TODO 084")
