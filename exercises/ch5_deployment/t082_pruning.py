"""082 · 模型的剪枝（Pruning）

題目
    訓練好的網路裡，很多權重小到拿掉也幾乎不影響輸出。剪枝有兩種：

        非結構化    逐個權重剪，整個模型一起比大小（global）：哪一層可以多剪，由權重自己決定
        結構化      整個輸出 channel 剪掉，一般的矩陣乘法也能因此變小

    剪掉不是設成 0 就好：下一次 optimizer.step() 又會把它更新成別的數。常見的做法是 mask：原來的權重留著，
    forward 用的是 weight_orig * mask。微調完再把 mask 合進權重，state_dict 才能給沒剪過的模型載入。

    torch.nn.utils.prune 可以用，也可以自己寫；小心它把整數當成個數：amount=1 只剪一個權重，1.0 才是全部。
    許多文章說剪完模型就變小變快。非結構化剪出的 0 照樣佔記憶體、照樣參與乘法，要有稀疏的格式與 kernel 才有好處。

介面
    prune_global(model, amount)
        可剪的權重：model 中所有 nn.Linear、nn.Conv1d、nn.Conv2d、nn.Conv3d 的 weight，共 n 個數。
        所有層一起比，|w| 最小的 round(amount · n) 個變成 0（Python 的 round：4.5 是 4）。其餘參數與 buffer 不變。
        |w| 相同時剪哪一個不拘，個數仍要剛好；prune_channels 也是。
    sparsity(model) -> float
        那些權重中 0 所佔的比例，不論剪過沒有。model 至少有一個這樣的層。
    make_permanent(model)
        把剪枝的結果定下來：state_dict 的名稱回到剪枝之前（順序不拘），值是剪過的值，weight 與 bias 又是普通的
        nn.Parameter。model 可以是剪過的整個模型，也可以是 prune_channels 剪過的那個 conv。
    prune_channels(conv, amount)
        conv 是 groups=1 的 nn.Conv2d，可能沒有 bias。weight 的 L2 範數最小的 round(amount · out_channels) 個
        輸出 channel，權重與 bias 都變成 0。
    剪完，module.weight 與 module.bias 就是剪過的值。之後建立 optimizer 來訓練，剪掉的仍是 0，其餘照常更新。
    amount 是 0 到 1 的 float 或 int，1 是全部；超出範圍拋出 ValueError，訊息含 amount 的值。
    同一個模型只會剪一次。

評分
    數值  prune_global：留下與剪掉的權重，round 的個數（有許多 |w| 相同時也是），0 與 1（整數 1 也是全部）；
          bias、batch norm、embedding 不變；sparsity；
          prune_channels：剪掉的 channel 與 bias，個數，0 與 1，沒有 bias 的 conv
    梯度  剪完再訓練幾步，剪掉的仍是 0，其餘與「只更新留下的權重」逐步推算的相同
    行為  make_permanent 之後 state_dict 的名稱、值，能載入沒剪過的模型，輸出不變，參數仍可訓練；
          amount 超出範圍時拋出 ValueError

範例
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    >>> _ = model[0].weight.data.copy_(torch.tensor([[0.1, -2.0], [3.0, 0.2]]))
    >>> _ = model[2].weight.data.copy_(torch.tensor([[-0.3, 4.0]]))
    >>> prune_global(model, 0.5)
    >>> model[0].weight.tolist(), sparsity(model)
    ([[0.0, -2.0], [3.0, 0.0]], 0.5)
    >>> make_permanent(model)
    >>> sorted(model.state_dict())
    ['0.bias', '0.weight', '2.bias', '2.weight']

面試追問
    1. 一次剪到 90%，與分十次邊剪邊微調，哪一個好？lottery ticket hypothesis 說的是什麼？
    2. 剪掉一個輸出 channel 之後，怎麼真的把它從後面的 batch norm 與下一層 conv 拿掉？有 residual 時呢？
    3. 2:4 semi-structured sparsity 是什麼？為什麼 GPU 支援它而不支援任意的稀疏？
"""

import torch
from torch import nn
from torch.nn.utils import prune


def prune_global(model: nn.Module, amount: float) -> None:
    """所有可剪的權重一起比，|w| 最小的 round(amount · n) 個變成 0。"""
    raise NotImplementedError("TODO 082")


def sparsity(model: nn.Module) -> float:
    """可剪的權重中 0 所佔的比例。"""
    raise NotImplementedError("TODO 082")


def make_permanent(model: nn.Module) -> None:
    """把剪枝的結果定下來，state_dict 的名稱回到剪枝之前。"""
    raise NotImplementedError("TODO 082")


def prune_channels(conv: nn.Conv2d, amount: float) -> None:
    """L2 範數最小的 round(amount · out_channels) 個輸出 channel 變成 0，bias 也是。"""
    raise NotImplementedError("TODO 082")
