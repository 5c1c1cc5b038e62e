"""034 · 生成對抗網絡（GAN），用於生成手寫數字

題目
    generator 把雜訊 z 變成假的影像，discriminator 判斷影像的真假；兩者輪流訓練，一步如下：

        1. discriminator 先走一步，只有它更新：
           d_loss = mean BCE(D(real), 1) + mean BCE(D(fake), 0)
        2. generator 再走一步，只有它更新，用的是剛更新過的 D：
           g_loss = mean BCE(D(fake), 1)

    D 給的是 logits，BCE(l, y) = −y log σ(l) − (1 − y) log(1 − σ(l))。兩項相加，不取平均。

    原論文的極小極大式讓 G 最小化 log(1 − σ(D(fake)))：D 一旦占上風，它的梯度就接近 0。論文自己也改用上面的
    g_loss（non-saturating），這裡只收這一種。

    第 1 步的 fake 要 detach：不然 d_loss 的梯度會一路傳進 G，白算一遍；G 若沒有清梯度，還會照著相反的方向更新。

介面
    Generator(noise_dim, output_dim)
        屬性 noise_dim；forward(z (B, noise_dim)) -> (B, output_dim)，最後是 tanh，值在 −1 與 1 之間。
    Discriminator(input_dim)
        forward(x (B, input_dim)) -> logits (B, 1)，沒有 sigmoid。
        兩個網路中間的層由你決定，各一兩個隱藏層就夠；評分單獨檢查它們時用 eval 模式，所以 batch norm、dropout 都可以。
    gan_step(generator, discriminator, g_optimizer, d_optimizer, real, *, rng=None) -> (d_loss, g_loss)
        real (B, D)，值在 −1 與 1 之間；B 每次可以不同。
        兩個網路未必是上面的類別：generator 有 noise_dim，discriminator 給 (B, 1) 的 logits。
        z (B, generator.noise_dim) 由標準常態抽出，dtype（可能是 float64）與裝置都與 real 相同；
        兩步共用一個 z，或各抽一個，都可以，所以 generator 呼叫一次或兩次。
        rng 是與 real 同一裝置的 torch.Generator；None 時用全域亂數。
        各 optimizer 只 step 一次，握著各自網路的參數。參數上可能留有舊的 grad，不可混進來。
        參數的 requires_grad 與網路的 train 模式，結束時與呼叫前相同。回傳兩個 Python float，各是該步更新之前的損失。

評分
    形狀  Generator 的輸出 (B, output_dim)、noise_dim 屬性；Discriminator 的輸出 (B, 1)；dtype（float32、float64）
    數值  Generator 的輸出在 −1 與 1 之間，兩端都到得了；Discriminator 的輸出不限於 0 與 1 之間；
          連續四步的損失與兩個網路的權重等於手算（SGD 加 momentum，以及 Adam）；logits 是 ±200 時也是；
          z 服從標準常態，每個樣本、每次呼叫都不同
    梯度  兩個網路每個參數的梯度與數值微分相符
    行為  D 先走、G 後走；D 的那一步裡，G 的參數與梯度都沒有變；G 的那一步裡，D 的參數沒有變；
          requires_grad 還原，train 模式不變；殘留的梯度不影響結果；
          rng 相同則結果相同、不同則不同，不動用全域亂數；不改動 real；
          以評分自備的網路（16-128-64 與 64-128-1，Adam，lr 1e-3，betas 0.5 與 0.999，B 64）在 8×8 的手寫數字上
          走 300 步，假影像每個像素的平均與標準差，離真影像的距離都縮到起初的 0.8 倍以下

範例
    >>> generator, discriminator = Generator(4, 9), Discriminator(9)
    >>> generator.noise_dim, generator(torch.randn(3, 4)).shape, discriminator(torch.randn(3, 9)).shape
    (4, torch.Size([3, 9]), torch.Size([3, 1]))
    >>> optimizers = [torch.optim.Adam(network.parameters(), lr=1e-3) for network in (generator, discriminator)]
    >>> d_loss, g_loss = gan_step(generator, discriminator, *optimizers, torch.zeros(5, 9))
    >>> 0.5 < d_loss < 3 and 0 < g_loss < 2    # 什麼都分不出來的 D：2 log 2 = 1.386 與 log 2 = 0.693
    True

面試追問
    1. D 完美時，兩種 g_loss 對 logits 的梯度各是多少？
    2. mode collapse 是什麼？從哪裡看得出來，有哪些做法？
    3. G 的那一步也會算出 D 參數的梯度：怎樣可以省掉？忘了清又會怎樣？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Generator(nn.Module):
    def __init__(self, noise_dim: int, output_dim: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 034")

    def forward(self, z: Tensor) -> Tensor:
        """z (B, noise_dim) -> (B, output_dim)，在 −1 與 1 之間。"""
        raise NotImplementedError("TODO 034")


class Discriminator(nn.Module):
    def __init__(self, input_dim: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 034")

    def forward(self, x: Tensor) -> Tensor:
        """x (B, input_dim) -> logits (B, 1)。"""
        raise NotImplementedError("TODO 034")


def gan_step(
    generator: nn.Module,
    discriminator: nn.Module,
    g_optimizer: torch.optim.Optimizer,
    d_optimizer: torch.optim.Optimizer,
    real: Tensor,
    *,
    rng: torch.Generator | None = None,
) -> tuple[float, float]:
    """real (B, D)：D 走一步，G 再走一步 -> (d_loss, g_loss)，各是更新之前的。"""
    raise NotImplementedError("TODO 034")
