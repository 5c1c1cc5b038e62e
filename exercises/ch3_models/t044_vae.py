"""044 · 使用 torch.distributions 來實現變分自編碼器（VAE）

題目
    encoder 不給一個點，給一個分布，再由分布抽出 z 還原輸入：

        h = relu(Linear(x))
        q(z|x) = Normal(mu(h), exp(logvar(h) / 2))      # logvar 是變異數的對數，Normal 要的是標準差
        z = q(z|x) 的一個樣本
        reconstruction = sigmoid(Linear(relu(Linear(z))))

    損失是 ELBO 的相反數，先驗是標準常態 N(0, 1)：

        loss = mean_batch( Σ_features BCE(reconstruction, x) + beta · Σ_latents KL(q(z|x) ‖ N(0, 1)) )
        BCE(p, x) = −x log p − (1 − x) log(1 − p)
        KL = (mu² + σ² − 1 − log σ²) / 2

    抽樣要用 rsample：z = mu + σ · ε，梯度才回得到 encoder；sample 的結果沒有計算圖。
    常見的寫法在這裡都錯：BCE 用預設的 mean 而 KL 用總和，等於把 beta 放大了 input_dim 倍；
    兩項都對 batch 加總，學習率就得跟著 batch 的大小改。

介面
    VAE(input_dim, hidden_dim, latent_dim)
        屬性 encoder = nn.Sequential(nn.Linear, nn.ReLU)，mu、logvar 各是一個 nn.Linear（hidden_dim → latent_dim），
        decoder = nn.Sequential(nn.Linear, nn.ReLU, nn.Linear, nn.Sigmoid)，中間也是 hidden_dim 維；
        nn.Linear 都有 bias，沒有別的參數。
    encode(x (B, input_dim)) -> torch.distributions.Normal，loc 與 scale 都是 (B, latent_dim)
    forward(x) -> (self.decoder(z), encode(x) 的 Normal)
        每次呼叫都以全域亂數重新抽 z，每個元素各抽各的，訓練與推論時相同；還原要呼叫 self.decoder(z)，評分由此得知 z。
    elbo_loss(reconstruction, x, posterior, beta=1.0) -> 純量
        reconstruction、x (B, input_dim)，值在 0 與 1 之間，x 不一定是 0 或 1；posterior 是 (B, latent_dim) 的 Normal。
        reconstruction 恰為 0 或 1 時，損失是有限的數（F.binary_cross_entropy 就是）。

評分
    形狀  state_dict 的鍵與形狀；loc、scale、reconstruction 的形狀，Normal，dtype（float32、float64）；損失是純量
    數值  loc、scale、由 z 還原的 reconstruction 符合上式；(z − loc) / scale 服從標準常態，train 與 eval 模式都是；
          各種 beta（含 0 與預設值）的損失符合上式，reconstruction 離 0 與 1 只有 1e-4 時也是；
          posterior 等於先驗時 KL 是 0；
          logvar 是 ±20 時的 scale、KL 與梯度仍正確，reconstruction 飽和到 0 與 1 時損失與梯度都是有限的
    梯度  輸入與每個參數的梯度，只由 reconstruction 往回傳時也是；elbo_loss 對 reconstruction、loc、scale 的 gradcheck
    行為  每次呼叫、每個元素的 z 都不同；每個樣本的 posterior 不受別的樣本影響；不改動輸入與模型；
          以 1,000 張 8×8、二值化的手寫數字訓練（hidden_dim 128、latent_dim 8、12 個 epoch、Adam lr 5e-3、B 64），
          損失低於「一律猜平均影像」的 0.9 倍

範例
    >>> posterior = Normal(torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 1.0]]))
    >>> half, x = torch.full((1, 3), 0.5), torch.tensor([[0.0, 1.0, 1.0]])
    >>> elbo_loss(half, x, posterior)                  # 3 log 2 + 1/2
    tensor(2.5794)
    >>> elbo_loss(half, x, posterior, beta=4.0)        # 3 log 2 + 4 · 1/2
    tensor(4.0794)
    >>> reconstruction, posterior = VAE(3, 5, 2)(x)
    >>> reconstruction.shape, posterior.loc.shape
    (torch.Size([1, 3]), torch.Size([1, 2]))

面試追問
    1. 為什麼讓網路輸出 logvar，而不是標準差或變異數？
    2. posterior collapse 是什麼？beta 小於 1 或由 0 慢慢加大，為什麼有幫助？
    3. z 是離散的（例如 one-hot）時，rsample 還能用嗎？有哪些替代的做法？
"""

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F


class VAE(nn.Module):
    def __init__(self, input_dim: int, hidden_dim: int, latent_dim: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 044")

    def encode(self, x: Tensor) -> Normal:
        """x (B, input_dim) -> q(z|x)，loc 與 scale 是 (B, latent_dim)。"""
        raise NotImplementedError("TODO 044")

    def forward(self, x: Tensor) -> tuple[Tensor, Normal]:
        """x (B, input_dim) -> reconstruction (B, input_dim)、q(z|x)。"""
        raise NotImplementedError("TODO 044")


def elbo_loss(reconstruction: Tensor, x: Tensor, posterior: Normal, beta: float = 1.0) -> Tensor:
    """reconstruction、x (B, input_dim)，posterior (B, latent_dim) -> BCE + beta · KL 對 batch 的平均。"""
    raise NotImplementedError("TODO 044")
