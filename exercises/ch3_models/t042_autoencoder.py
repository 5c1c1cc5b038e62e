"""042 · 自編碼器（Autoencoder）來進行數據壓縮

題目
    把 input_dim 維的輸入壓成 hidden_dim 維，再還原；輸入的值在 0 與 1 之間：

        encoded = relu(Linear(x))
        decoded = sigmoid(Linear(encoded))

    train_autoencoder 以 Adam 訓練它還原輸入，損失是平方誤差對所有元素（樣本與維度）的平均：

        MSE = mean((decoded − x)²)

    每個 epoch 重新洗牌，切成大小為 batch_size 的 batch，最後不滿的那個也要用；每個 batch 更新一步。
    一個 epoch 的損失是各 batch 更新「之前」的損失，以樣本數加權的平均。直接平均各 batch 的損失是常見的錯：
    最後一個 batch 只有 2 個樣本時，它們的分量會是別人的好幾倍。

介面
    Autoencoder(input_dim, hidden_dim)
        屬性 encoder = nn.Sequential(nn.Linear, nn.ReLU)、decoder = nn.Sequential(nn.Linear, nn.Sigmoid)，
        兩個 nn.Linear 都有 bias，沒有其他參數。
    forward(x) -> (encoded, decoded)
        x (B, input_dim) -> encoded (B, hidden_dim)、decoded (B, input_dim)；訓練與推論時相同。
    train_autoencoder(model, data, *, epochs, lr, batch_size, seed=0) -> list[float]
        就地訓練 model。data (N, input_dim)，dtype 與裝置都與 model 相同。
        model 是任何 forward(x) 回傳 (encoded, decoded) 的模組：對每個 batch 呼叫一次 model(batch)，此外不呼叫。
        Adam 除了 lr 都用 PyTorch 的預設值，從頭到尾是同一個。
        洗牌由 seed 決定，同樣的 seed 給出同樣的訓練；不動用全域亂數。batch_size 可以大於 N。
        回傳 epochs 個 Python float；epochs = 0 時是空的 list，模型不動。
        參數上可能留有舊的 grad，不可混進來。model 的 train／eval 模式由呼叫者設定，不必管。

評分
    形狀  encoded 與 decoded 的形狀、dtype（float32、float64）；state_dict 的鍵與形狀
    數值  encoded、decoded 符合上式，model.encoder(x)、model.decoder(encoded) 也是；
          訓練的每個損失與最後的參數，與照著你的 batch 手算的相同，batch_size 整除 N、不整除、大於 N 都是
    梯度  輸入與每個參數的梯度
    行為  每個樣本的輸出不受別的樣本影響；每個 epoch 每個樣本恰好一次，batch 的大小正確；
          各 epoch 的 batch 由不同的樣本組成；seed 相同則結果相同，不同則次序不同；不動用全域亂數；
          舊的 grad、epochs = 0；不改動 data；以 1,000 張 8×8 的手寫數字訓練（hidden_dim 32、20 個 epoch、
          lr 1e-2、batch_size 64），還原的誤差不到「一律猜平均影像」的一半

範例
    >>> model = Autoencoder(4, 2)
    >>> encoded, decoded = model(torch.rand(3, 4))
    >>> encoded.shape, decoded.shape
    (torch.Size([3, 2]), torch.Size([3, 4]))
    >>> losses = train_autoencoder(model, torch.eye(4), epochs=50, lr=0.05, batch_size=3)
    >>> len(losses), losses[-1] < losses[0]
    (50, True)

面試追問
    1. 拿掉 ReLU 與 sigmoid 之後，它學到的子空間和 PCA 有什麼關係？
    2. hidden_dim 大於 input_dim 時會學到什麼？denoising 或 sparse autoencoder 怎麼避免？
    3. 為什麼不能拿 decoder 直接從隨機的 encoded 生成影像？VAE 改了哪裡？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Autoencoder(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 042")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, input_dim) -> encoded (B, hidden_dim)、decoded (B, input_dim)。"""
        raise NotImplementedError("TODO 042")


def train_autoencoder(
    model: nn.Module, data: Tensor, *, epochs: int, lr: float, batch_size: int, seed: int = 0
) -> list[float]:
    """data (N, input_dim) -> 每個 epoch 的平均 MSE，各 batch 取更新之前的。"""
    raise NotImplementedError("TODO 042")
