"""051 · 圖像風格遷移（Style Transfer）模型

題目
    Gatys 等人（2016）：讓一張圖在卷積網路裡的特徵像 content，特徵之間的相關性像 style。
    訓練的不是網路，是圖的像素。

    一張圖的 Gram 矩陣是 channel 兩兩的內積，位置被加總掉了，留下的是風格：

        F (C, H·W)，  G = F Fᵀ / (C · H · W)

    常見的教學把 (B, C, H, W) 攤成 (B·C, H·W) 再相乘，結果是 (B·C, B·C)：B 大於 1 時，不同圖的 channel 混在一起。
    這裡每張圖各算各的，除數也不含 B。

        ContentLoss = MSE(x, target)
        StyleLoss   = MSE(gram(x), gram(target_features))

    MSE 是全部元素的平方差的平均，target 都是常數。stylize 最小化

        content_weight · ContentLoss（最後一組特徵）+ style_weight · Σ StyleLoss（每一組特徵，相加）

    x 從 content 的複本開始，用 torch.optim.Adam（lr 以外都是預設值）走 steps 步，更新的只有 x。
    像素值要在 [0, 1]：每一步之後夾，或最後才夾，都可以。

介面
    gram_matrix(features)
        (B, C, H, W) -> (B, C, C)，記憶體可以不連續。
    ContentLoss(target)、StyleLoss(target_features)
        forward(x) -> 純量的損失。target 可能帶著計算圖；損失只對 x 有梯度，可以反覆 backward。
        StyleLoss 的 x 與 target_features 的 B、C 相同，H、W 可以不同。
    stylize(content, style, extractor, *, steps, lr=0.02, style_weight=1e4, content_weight=1.0)
        content (B, 3, H, W)、style (B, 3, H', W')，值在 [0, 1]，dtype 相同。
        extractor(x) 是 nn.Module，回傳特徵 (B, C_l, H_l, W_l) 的 list；參數可能凍結，也可能沒有。
        回傳新的張量 (B, 3, H, W)，dtype 同 content，值在 [0, 1]，不帶計算圖；steps = 0 時就是 content 的複本。
        不改動 content、style，也不改動 extractor：權重、requires_grad 與模式不變，參數上不留下梯度。

評分
    形狀  gram_matrix 的形狀；stylize 結果的形狀與 dtype
    數值  gram_matrix 符合上式，每張圖各算各的，輸入不連續也是；ContentLoss、StyleLoss 符合上式；
          stylize 走幾步之後的像素與照上面的式子算的相同（每個引數都有作用）
    梯度  gram_matrix 通過 gradcheck；兩個損失對 x 的梯度；target 沒有梯度
    行為  結果在 [0, 1]、不帶計算圖、不與 content 共用記憶體；不改動 content、style、extractor，不動用全域亂數；
          真實的照片，預設的設定，走 100 步後損失降到一半以下

範例
    >>> gram_matrix(torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]]))    # [[5, 6], [6, 9]] / (2 · 1 · 2)
    tensor([[[1.2500, 1.5000],
             [1.5000, 2.2500]]])
    >>> StyleLoss(torch.ones(1, 1, 2, 2))(torch.zeros(1, 1, 3, 3)).item()    # 大小不同也能比：(0 − 1)²
    1.0

面試追問
    1. 為什麼 Gram 矩陣代表風格？把特徵的位置打亂，它會變嗎？換成比較 BN 的均值與變異數可不可以？
    2. 這個方法每張圖都要最佳化幾百步，快速風格遷移（Johnson 等人）怎麼做到一次 forward？
    3. VGG 的 max pooling、inplace ReLU、輸入的正規化，實作時各有什麼陷阱？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def gram_matrix(features: Tensor) -> Tensor:
    """features (B, C, H, W) -> 每張圖的 Gram 矩陣 (B, C, C)，除以 C·H·W。"""
    raise NotImplementedError("TODO 051")


class ContentLoss(nn.Module):
    def __init__(self, target: Tensor) -> None:
        super().__init__()
        raise NotImplementedError("TODO 051")

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> 純量。"""
        raise NotImplementedError("TODO 051")


class StyleLoss(nn.Module):
    def __init__(self, target_features: Tensor) -> None:
        super().__init__()
        raise NotImplementedError("TODO 051")

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) -> 純量。"""
        raise NotImplementedError("TODO 051")


def stylize(
    content: Tensor,
    style: Tensor,
    extractor: nn.Module,
    *,
    steps: int,
    lr: float = 0.02,
    style_weight: float = 1e4,
    content_weight: float = 1.0,
) -> Tensor:
    """content (B, 3, H, W)、style (B, 3, H', W') -> content 的內容、style 的風格 (B, 3, H, W)。"""
    raise NotImplementedError("TODO 051")
