"""037 · 使用預訓練的模型（如 ResNet）進行遷移學習

題目
    資料少的時候，把預訓練的 ResNet 當作固定的特徵抽取器，只訓練換上去的最後一層（linear probing）。

    build_transfer_model 把 backbone 的 fc 換成新的、輸出 num_classes 類的 nn.Linear，其餘的參數全部凍結。

    只設 requires_grad = False 是不夠的：running_mean 與 running_var 是 buffer，不是參數。模型一進入 train 模式，
    batch norm 就改用這個 batch 的統計量，而且每次 forward 都更新 buffer，預訓練的統計量因此慢慢走樣。
    呼叫一次 eval() 也不夠：訓練迴圈開頭的 model.train() 會把它改回來。
    所以這裡要求：不管呼叫多少次 model.train()，batch norm 都照推論時的方式計算。

介面
    build_transfer_model(backbone, num_classes)
        backbone 是 torchvision 的任一種 ResNet（resnet18、resnet50……），權重已經在裡面，不必下載；
        各種 ResNet 的 fc 輸入大小不同。可以就地改動 backbone 並回傳它，也可以另外建一個。
        回傳的模型保留原來的名稱：conv1、bn1、layer1 到 layer4、fc；state_dict 的鍵也是
        （batch norm 的 num_batches_tracked 可以沒有）。
            fc      新的 nn.Linear，有 bias，需要梯度；原來的 fc 恰好也是 num_classes 類時，同樣換新的。
            其他    數值與 backbone 相同，不需要梯度。
        model.train() 與 model.eval() 仍可以呼叫，並照 nn.Module 的慣例回傳模型自己。
    trainable_parameters(model)
        model 裡需要梯度的參數（任何 nn.Module 都可以），依 parameters() 的順序，是可以交給 optimizer 的 list。

評分
    形狀  resnet18 與 resnet50：fc 的大小、state_dict 的鍵、logits 的形狀
    數值  其他的權重與統計量和 backbone 相同，fc 是新的；
          train 模式與 eval 模式的輸出相同，都等於推論模式的 backbone 接上新的 fc，只有一張圖時也是
    梯度  fc 的 weight 與 bias 的梯度正確，其他參數沒有梯度
    行為  resnet18 與 resnet50 都只有 fc 需要梯度；trainable_parameters 回傳的正是需要梯度的參數；
          model.train() 之後訓練十步，fc 與手算的相同，其他的參數與 buffer 都沒有變；
          train()、eval() 回傳模型自己；
          resnet18、64 像素的真實圖片、SGD（lr 1e-2）訓練 10 步，損失至少下降 15%

範例
    >>> from torchvision.models import resnet18
    >>> model = build_transfer_model(resnet18(), 5)
    >>> model.fc
    Linear(in_features=512, out_features=5, bias=True)
    >>> [tuple(p.shape) for p in trainable_parameters(model)]
    [(5, 512), (5,)]
    >>> before = model.bn1.running_mean.clone()
    >>> _ = model.train()(torch.ones(2, 3, 32, 32))
    >>> torch.equal(model.bn1.running_mean, before)
    True

面試追問
    1. 之後要連 layer4 一起微調，學習率怎麼分組？batch norm 這時該不該解凍？
    2. 只訓練 fc 時，特徵可以先算好存起來。快多少？做了資料增強還能這樣嗎？
    3. 新資料與 ImageNet 差很多（例如醫學影像），凍結多少層怎麼決定？
"""

import types

import torch
from torch import nn


def build_transfer_model(backbone: nn.Module, num_classes: int) -> nn.Module:
    """torchvision 的 ResNet -> 只有新的 fc 會訓練的模型。"""
    raise NotImplementedError("TODO 037")


def trainable_parameters(model: nn.Module) -> list[nn.Parameter]:
    """model 裡需要梯度的參數。"""
    raise NotImplementedError("TODO 037")
