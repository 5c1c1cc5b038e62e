"""050 · 殘差網路（ResNet）來進行圖像分類

題目
    給小圖（CIFAR-10 的大小）用的 ResNet（He 等人，2016）。一個殘差區塊：

        ResidualBlock(x) = relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))

        conv1      3×3，padding 1，in_channels → out_channels，步長 stride
        conv2      3×3，padding 1，out_channels → out_channels，步長 1
        shortcut   形狀不變（stride 為 1 而且 in_channels = out_channels）時什麼都不做；
                   否則是 1×1、步長 stride 的卷積，接 batch norm

    加完才 ReLU。要不要投影，channel 數與步長都要看：channel 數一樣、步長是 2，大小仍對不上。

    整個網路：

        conv1      3×3，padding 1，步長 1，3 → widths[0]；bn1；ReLU（沒有 max pooling）
        stages     第 i 段有 num_blocks[i] 個區塊，輸出 widths[i] 個 channel；
                   第一段步長都是 1，之後每一段只有第一個區塊步長 2，把高與寬減半（奇數時進位）
        全域的 average pooling，fc：widths[-1] → num_classes，輸出 logits

    卷積都沒有 bias（batch norm 會把它減掉），batch norm 都用預設的設定。

介面
    ResidualBlock(in_channels, out_channels, stride=1)
        屬性 conv1、bn1、conv2、bn2，以及 shortcut：nn.Sequential，空的，或依序是卷積與 batch norm。
        forward：x (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)
    ResNet(num_blocks, num_classes=10, widths=(64, 128, 256, 512))
        num_blocks 是 list 或 tuple，與 widths 一樣長，每個至少是 1。
        屬性 conv1、bn1、stages（nn.Sequential，每一段又是 ResidualBlock 的 nn.Sequential）、fc。
        forward：x (N, 3, H, W) -> logits (N, num_classes)，H、W 各是 16 到 64 的任何整數。
    沒有其他參數與 buffer。

評分
    形狀  區塊與網路的 state_dict 的鍵與形狀，參數的總數；logits 與各段輸出的形狀；dtype 與權重相同
    數值  權重相同時，區塊的輸出與 torchvision 的 BasicBlock（它的 downsample 就是這裡的 shortcut）相同，
          訓練後的 running 統計量也是；整個網路的 logits 符合上面的說明；訓練與推論都算
    梯度  區塊與網路，輸入與每個參數的梯度
    行為  不改動輸入；widths 8、16、32、64，每段一個區塊，Adam（lr 3e-3）訓練 60 步後，記得住 16 張真實的圖

範例
    >>> block = ResidualBlock(8, 8)
    >>> len(block.shortcut), len(ResidualBlock(8, 8, stride=2).shortcut)
    (0, 2)
    >>> model = ResNet([2, 2, 2, 2])    # 給 CIFAR-10 的 ResNet-18
    >>> sum(p.numel() for p in model.parameters())
    11173962
    >>> model(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])

面試追問
    1. 把每個區塊的 bn2.weight 初始化為 0 有什麼好處？這時第一步哪些參數的梯度是 0？
    2. 50 層以上為什麼改用 1×1、3×3、1×1 的 bottleneck？參數與計算量差多少？
    3. pre-activation（BN、ReLU 放在卷積之前）的 shortcut 上沒有 ReLU，對很深的網路有什麼不同？
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        raise NotImplementedError("TODO 050")

    def forward(self, x: Tensor) -> Tensor:
        """x (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)。"""
        raise NotImplementedError("TODO 050")


class ResNet(nn.Module):
    def __init__(
        self, num_blocks: Sequence[int], num_classes: int = 10, widths: Sequence[int] = (64, 128, 256, 512)
    ) -> None:
        super().__init__()
        raise NotImplementedError("TODO 050")

    def forward(self, x: Tensor) -> Tensor:
        """x (N, 3, H, W) -> logits (N, num_classes)。"""
        raise NotImplementedError("TODO 050")
