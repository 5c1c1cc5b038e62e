"""033 · 多輸入的模型，例如處理圖像和文本同時進行分類

題目
    一張圖和它的說明文字一起分類。兩種輸入已經各是一個特徵向量，例如由兩個預訓練的 encoder 算出；
    模型讓它們各過一層、接在一起（late fusion），再分類：

        i      = relu(image_fc(image))
        t      = relu(text_fc(text))
        logits = classifier(concat(i, t))    # 沿特徵的維度，圖在前、文字在後

    最後不要 softmax。相加也能融合兩種特徵，但 i 與 t 的第 k 維並不是同一種東西；
    接起來，classifier 才能替它們各學一組權重。

    兩個 batch 的大小必須相同。光靠廣播會漏掉錯誤：一張圖配五段文字，算得出結果，卻不是誰要的。

介面
    MultiInputModel(image_features, text_features, hidden_size, num_classes)
        image_fc      nn.Linear：image_features → hidden_size
        text_fc       nn.Linear：text_features → hidden_size
        classifier    nn.Linear：2 · hidden_size → num_classes
        三層都有 bias；不要有別的參數或 buffer（ReLU 可以是子模組，也可以是函數）。
    forward(image, text)
        image (B, image_features)、text (B, text_features) -> logits (B, num_classes)，記憶體都可以不連續。
        兩個 B 不同（其中一個是 1 也算）：ValueError，訊息含這兩個數。
        每一筆只由自己的圖與文字決定；訓練與推論時相同。

評分
    形狀  三個子模組，state_dict 的鍵與形狀；logits 的形狀（num_classes = 1 時也是），dtype 與權重相同
    數值  logits 符合上式，包括 image_features = text_features 時；訓練與推論、每次呼叫都是，B = 1 也是
    梯度  兩個輸入與每個參數的梯度都符合上式
    行為  兩個 batch 大小不同時拋出 ValueError；不改動輸入與模型

範例
    >>> model = MultiInputModel(1, 1, 1, 1)
    >>> weights = {"image_fc": [[1.0]], "text_fc": [[1.0]], "classifier": [[10.0, 1.0]]}
    >>> for name, weight in weights.items():
    ...     layer = getattr(model, name)
    ...     _ = layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.zeros(1)})
    >>> model(torch.tensor([[2.0], [-2.0]]), torch.tensor([[3.0], [3.0]])).tolist()    # 10 · 2 + 3，以及 10 · 0 + 3
    [[23.0], [3.0]]

面試追問
    1. early fusion、late fusion 與 cross attention 各在什麼時候把兩種輸入合起來？各適合什麼資料？
    2. 訓練時一種模態學得快，另一種的分支幾乎不動，怎麼發現、怎麼補救？
    3. 推論時有的樣本沒有文字，模型與訓練要怎麼改？
"""

import torch
from torch import Tensor, nn


class MultiInputModel(nn.Module):
    def __init__(self, image_features: int, text_features: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 033")

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """image (B, image_features)、text (B, text_features) -> logits (B, num_classes)。"""
        raise NotImplementedError("TODO 033")
