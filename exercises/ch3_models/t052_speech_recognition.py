"""052 · 語音識別模型

題目
    三段組成一個最小的語音識別器：聲音 -> log-mel 特徵 -> 雙向 LSTM（每個 frame 一個字元的分布）-> CTC 解碼。

    log_mel：長度 n_fft 的視窗每次移 hop_length 個取樣，求各頻率的功率，再以 n_mels 個三角濾波器加總，取自然對數。
        視窗    periodic 的 Hann（不是對稱的），長度 n_fft；頭尾各以 reflect 補 n_fft // 2 個取樣，
                第 t 個 frame 的中心就在第 t · hop_length 個取樣
        功率    |STFT|²，不除以任何東西（振幅、dB 都不是）；頻率 f_k = k · sample_rate / n_fft
        濾波器  HTK 的 mel(f) = 2595 log10(1 + f / 700)。把 mel(0) 到 mel(8000) 等分成 n_mels + 1 段，n_mels + 2 個
                端點換回 Hz 是 p_0、p_1、…；第 m 個濾波器在 p_m 為 0，線性升到 p_{m+1} 為 1，再線性降到 p_{m+2} 為 0
                （以 Hz 為橫軸）。不做面積正規化（許多函式庫預設的 Slaney 式有）。
                上限固定是 8000 Hz，與 sample_rate 無關
        對數    log(max(x, 1e-10))：靜音的地方是 log 1e-10，不是 −inf
    （torchaudio 的頻率刻度其實是 linspace(0, sample_rate // 2, n_fft // 2 + 1)，n_fft 為奇數時與上面差一點；
    這時兩種都算對。）

    CTC 解碼（greedy）：每個 frame 取機率最大的字元，先合併連續相同的，再去掉 blank。順序不能反：
    「e blank e」是兩個 e，先去掉 blank 就只剩一個了。

介面
    log_mel(waveform, *, sample_rate=16000, n_fft=400, hop_length=160, n_mels=40)
        waveform (T,) 為浮點數，T > n_fft // 2 -> (1 + T // hop_length, n_mels)，dtype 相同（各 frame 一列）。
    SpeechRecognizer(n_mels, hidden_size, vocab_size)
        lstm：nn.LSTM，batch_first=True，雙向、一層，每個方向 hidden_size；
        fc：nn.Linear，2 · hidden_size -> vocab_size。
    SpeechRecognizer.forward(features, lengths)
        features (B, T, n_mels)；lengths (B,) 為 int64，1 ≤ lengths ≤ T，不一定排序過，最長的也可以比 T 短。
        -> 每個 frame 的 log 機率 (B, T, vocab_size)。長度以外的 frame 是補的：補什麼、補多少，都不影響長度以內的輸出
        （反向的 LSTM 從最後一個真的 frame 開始讀）；長度以外的輸出不拘。
    ctc_greedy_decode(log_probs, lengths, blank=0)
        log_probs (B, T, V)、lengths (B,) -> B 個由 int 組成的 list；只看前 lengths[b] 個 frame。

評分
    形狀  log_mel 的 frame 數與 dtype；SpeechRecognizer 的子模組、state_dict 與輸出的形狀（T 大於最長的一段時也是）
    數值  log_mel 與 torchaudio 2.11 的結果相同：三段錄音、三組設定，功率超過該段最大值 1e-6 的地方誤差不超過 1e-3，
          其餘 2e-2；隨機的波形（也有極小聲的）符合上述公式（float64）；靜音時是 log 1e-10；
          SpeechRecognizer 等於逐段單獨算的結果，logits 相差數百時也是；ctc_greedy_decode 等於上述規則
    梯度  SpeechRecognizer 的輸入與每個參數的梯度（只看長度以內的輸出）
    行為  補的內容與多少不影響輸出；都不改動輸入；
          學得會：三段錄音 one、two、three 的 log-mel（n_fft 1024、hop_length 640，整體標準化），hidden_size 64、
          Adam（lr 1e-2）、CTC loss 訓練 60 步後，三個字都解碼正確

範例
    >>> log_mel(torch.zeros(16000)).shape
    torch.Size([101, 40])
    >>> one_hot = torch.nn.functional.one_hot(torch.tensor([[5, 5, 0, 5, 3, 3]]), 6)
    >>> ctc_greedy_decode(one_hot.float(), torch.tensor([6]))
    [[5, 5, 3]]
    >>> ctc_greedy_decode(one_hot.float(), torch.tensor([4]))
    [[5, 5]]

面試追問
    1. CTC loss 怎麼把所有可能的對齊都加起來？為什麼需要 blank？它對各 frame 的獨立性有什麼假設？
    2. greedy 解碼為什麼不一定得到機率最大的字串？beam search 怎麼做？
    3. 為什麼用 mel 刻度與對數？雙向 LSTM 為什麼不能做即時（streaming）辨識？
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def log_mel(
    waveform: Tensor, *, sample_rate: int = 16000, n_fft: int = 400, hop_length: int = 160, n_mels: int = 40
) -> Tensor:
    """waveform (T,) -> (1 + T // hop_length, n_mels)。"""
    raise NotImplementedError("TODO 052")


class SpeechRecognizer(nn.Module):
    def __init__(self, n_mels: int, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        raise NotImplementedError("TODO 052")

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """features (B, T, n_mels)、lengths (B,) -> log 機率 (B, T, vocab_size)。"""
        raise NotImplementedError("TODO 052")


def ctc_greedy_decode(log_probs: Tensor, lengths: Tensor, blank: int = 0) -> list[list[int]]:
    """log_probs (B, T, V)、lengths (B,) -> 每段的字元編號，先合併連續相同的，再去掉 blank。"""
    raise NotImplementedError("TODO 052")
