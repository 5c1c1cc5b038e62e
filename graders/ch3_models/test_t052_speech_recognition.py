"""052 · 語音識別：評分"""

import math
import wave
from itertools import groupby

import pytest

from torch_kata.checks import (
    Adam,
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_same_module,
    assert_shape,
    assert_type,
    check,
    fixture,
    nn,
    np,
    torch,
    unchanged,
)

WORDS = ["one", "two", "three"]
SETTINGS = {
    "default": {},
    "wide": {"n_fft": 512, "hop_length": 200, "n_mels": 26},
    "faster": {"sample_rate": 22050, "n_fft": 441, "hop_length": 147, "n_mels": 32},
}


def recording(word, device, dtype="float32"):
    """fixtures 裡的一段錄音，-1 到 1。"""
    with wave.open(str(fixture(f"speech/{word}.wav"))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    return torch.tensor(samples, device=device, dtype=getattr(torch, dtype))


def by_definition(waveform, sample_rate=16000, n_fft=400, hop_length=160, n_mels=40):
    """題目的公式，float64：傅立葉轉換逐項相乘，三角形逐個以內插畫出來。"""
    x, half = waveform.double().cpu().numpy(), n_fft // 2
    x = np.concatenate([x[half:0:-1], x, x[-2 : -half - 2 : -1]])
    n, k = np.arange(n_fft), np.arange(half + 1)
    window = np.sin(np.pi * n / n_fft) ** 2
    frames = np.stack([x[start : start + n_fft] * window for start in range(0, len(x) - n_fft + 1, hop_length)])
    angles = 2 * np.pi * np.outer(n, k) / n_fft
    power = (frames @ np.cos(angles)) ** 2 + (frames @ np.sin(angles)) ** 2
    mels = np.linspace(0, 2595 * math.log10(1 + 8000 / 700), n_mels + 2)
    points = 700 * (10 ** (mels / 2595) - 1)
    filters = [np.interp(k * sample_rate / n_fft, points[m : m + 3], [0, 1, 0], 0, 0) for m in range(n_mels)]
    return torch.tensor(np.log(np.maximum(power @ np.stack(filters, 1), 1e-10)), device=waveform.device)


def oracle(n_mels, hidden_size, vocab_size):
    """題目的定義：每一段只給真的 frame，單獨算；結果是所有真的 frame 接起來。"""

    class OneByOne(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(n_mels, hidden_size, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(2 * hidden_size, vocab_size)

        def forward(self, features, lengths):
            parts = [self.lstm(x[:n])[0] for x, n in zip(features, lengths.tolist(), strict=True)]
            return self.fc(torch.cat(parts)).log_softmax(-1)

    return OneByOne()


def real_frames(module):
    """作答的模型，輸出只留下長度以內的 frame。"""

    class RealFrames(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = module

        def forward(self, features, lengths):
            out = self.inner(features, lengths)
            return torch.cat([frames[:n] for frames, n in zip(out, lengths.tolist(), strict=True)])

    return RealFrames()


@pytest.fixture
def pair(submission, rng, device):
    """pair()：作答的 SpeechRecognizer(4, 5, 6)（只留下真的 frame），與權重相同的 oracle（float64）。"""

    def make():
        truth = rng.fill_(oracle(4, 5, 6).to(device))
        module = submission.SpeechRecognizer(4, 5, 6).to(device)
        module.load_state_dict(truth.state_dict())
        return real_frames(module), truth.double()

    return make


def batch(rng, lengths, t=8):
    """features (B, t, 4) 與 lengths；補的部分也是亂數。"""
    return rng.normal((len(lengths), t, 4)), torch.tensor(lengths, device=rng.device)


# ── log_mel ──


@pytest.mark.shape
def test_log_mel_shape(submission, rng):
    """log_mel 的 frame 數與 dtype"""
    for t, settings, shape in (
        (1600, {}, (11, 40)),
        (1759, {}, (11, 40)),
        (1500, {"n_fft": 256, "hop_length": 100, "n_mels": 13}, (16, 13)),
    ):
        for dtype in ("float32", "float64"):
            out = submission.log_mel(rng.normal((t,), dtype=dtype), **settings)
            assert_shape(out, shape, f"{t} 個取樣、{settings or '預設值'} 的 log_mel ")
            assert_dtype(out, dtype, "log_mel ")


@pytest.mark.numeric
@pytest.mark.parametrize("settings", SETTINGS)
def test_log_mel_recorded(submission, device, settings):
    """log_mel 與 torchaudio 相同"""
    # float64 與 float32 的寫法與錄製值差 3e-5 以內（功率很小的地方 1.3e-4）；最輕微的錯誤（對稱的視窗）差 2e-2。
    for word in WORDS:
        waveform = recording(word, device)
        with np.load(fixture("speech/log_mel.npz")) as recorded:
            expected = torch.tensor(recorded[f"{word}/{settings}"], device=device)
        with unchanged(waveform):
            out = submission.log_mel(waveform, **SETTINGS[settings])
        assert_shape(out, expected.shape, f"{word}.wav 的 log_mel ")
        if settings == "faster":  # n_fft 是奇數：torchaudio 的頻率刻度與公式不同，兩種都算對
            exact = by_definition(waveform, **SETTINGS[settings])
            if (out - exact).abs().max() < (out - expected).abs().max():
                expected = exact
        loud = expected.exp() > 1e-6 * expected.exp().max()
        name = f"{word}.wav 的 log_mel（{SETTINGS[settings] or '預設值'}）"
        assert_close(torch.where(loud, out, expected), expected, rtol=0, atol=1e-3, what=name)
        assert_close(out, expected, rtol=0, atol=2e-2, what=f"{name}，功率很小處")


@pytest.mark.numeric
def test_log_mel_formula(submission, rng):
    """log_mel 符合公式（隨機的波形）"""
    for t, loudness, settings in (
        (2000, 1.0, {"sample_rate": 24000, "n_fft": 300, "hop_length": 90, "n_mels": 11}),
        (1200, 1e-6, {"sample_rate": 16000, "n_fft": 256, "hop_length": 70, "n_mels": 15}),  # 功率在 1e-10 上下
    ):
        waveform = loudness * rng.normal((t,), dtype="float64")
        expected = by_definition(waveform, **settings)
        out = submission.log_mel(waveform, **settings)
        # 濾波器用 float32 計算也算對（torchaudio 就是），會差到 1e-4。
        assert_close(out, expected, rtol=0, atol=1e-3, what=f"標準差 {loudness:g} 的雜訊、{settings} 的 log_mel")


@pytest.mark.numeric
def test_silence(submission, device):
    """靜音時是 log 1e-10"""
    expected = torch.full((7, 40), math.log(1e-10), device=device)
    assert_close(submission.log_mel(torch.zeros(1000, device=device)), expected, rtol=1e-5, what="靜音的 log_mel")


# ── SpeechRecognizer ──


@pytest.mark.shape
def test_parts(submission):
    """SpeechRecognizer 的子模組與 state_dict"""
    module = submission.SpeechRecognizer(4, 5, 6)
    assert_type(module.lstm, nn.LSTM, "lstm ")
    assert_type(module.fc, nn.Linear, "fc ")
    expected = {name: tuple(value.shape) for name, value in oracle(4, 5, 6).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
def test_recognizer_shape(submission, rng, device):
    """SpeechRecognizer 輸出的形狀與 dtype"""
    for lengths, t, dtype in (([3, 8, 5], 8, "float32"), ([2, 6, 4, 1], 9, "float64")):
        module = submission.SpeechRecognizer(4, 5, 6).to(device, getattr(torch, dtype))
        features, lengths = batch(rng, lengths, t)
        out = module(features.to(getattr(torch, dtype)), lengths)
        assert_shape(out, (len(lengths), t, 6), f"T = {t}、lengths = {lengths.tolist()} 的輸出")
        assert_dtype(out, dtype, "輸出")


@pytest.mark.numeric
@pytest.mark.parametrize("lengths", [[8, 6, 3, 1], [3, 8, 1, 5, 8], [6]], ids=["longest first", "mixed", "one"])
def test_recognizer(pair, rng, lengths):
    """SpeechRecognizer 等於逐段單獨算的結果"""
    module, truth = pair()
    for mode in ("train", "eval"):
        features, numbers = batch(rng, lengths)
        expected = truth(features.double(), numbers)
        with unchanged(features, numbers):
            out = module.train(mode == "train")(features, numbers)
        assert_close(out, expected, atol=2e-5, what=f"lengths 為 {lengths} 時，{mode} 模式下真的 frame 的 log 機率")


@pytest.mark.numeric
def test_extreme_logits(pair, rng):
    """logits 相差數百時 log 機率仍正確"""
    module, truth = pair()
    with torch.no_grad():
        for weight in (module.inner.fc.weight, truth.fc.weight):
            weight.mul_(1000)
    features, lengths = batch(rng, [3, 8, 5])
    expected = truth(features.double(), lengths)
    # h 在 float32 的誤差約 1e-7，乘上一千就是這麼大。
    assert_close(module(features, lengths), expected, rtol=1e-4, atol=1e-2, what="真的 frame 的 log 機率")


@pytest.mark.behaviour
def test_padding(pair, rng):
    """補什麼、補多少都不影響長度以內的輸出"""
    module, truth = pair()
    features, lengths = batch(rng, [3, 7, 1, 5])
    expected = truth(features.double(), lengths)
    real = torch.arange(8, device=rng.device)[:, None] < lengths[:, None, None]
    for name, changed in (
        ("補到最長的一段（7 個 frame）", features[:, :7]),
        ("補到 20 個 frame", F.pad(features, (0, 0, 0, 12), value=9.0)),
        ("補的內容換成很大的數", torch.where(real, features, 1e4)),
    ):
        assert_close(module(changed, lengths), expected, atol=2e-5, what=f"{name}時，真的 frame 的 log 機率")


@pytest.mark.gradient
def test_gradient(pair, rng):
    """SpeechRecognizer 的輸入與每個參數的梯度"""
    module, truth = pair()
    names = {name: f"inner.{name}" for name, _ in truth.named_parameters()}
    assert_same_module(module, truth, *batch(rng, [3, 8, 1, 5]), rename=names)


# ── ctc_greedy_decode ──


def decoded(rows, blank):
    """題目的規則：先合併，再去掉 blank。"""
    return [[symbol for symbol, _ in groupby(row) if symbol != blank] for row in rows]


def scores(rng, rows, t, vocabulary):
    """每個 frame 機率最大的就是 rows 裡的字元，只比第二大的多一成；長度以外隨機。"""
    best = rng.integers(0, vocabulary, (len(rows), t))
    for target, row in zip(best, rows, strict=True):
        target[: len(row)] = torch.tensor(row, device=rng.device)
    logits = rng.normal((len(rows), t, vocabulary))
    return logits.scatter(2, best[:, :, None], logits.amax(2, keepdim=True) + 0.1).log_softmax(2)


@pytest.mark.numeric
def test_decode_cases(submission, rng, device):
    """先合併連續相同的，再去掉 blank"""
    rows = [[3, 3, 0, 3, 5], [0, 0, 0], [2], [0, 4, 4, 4, 0, 0, 4, 1, 1], [1, 2, 1, 2, 2, 0]]
    lengths = torch.tensor([len(row) for row in rows], device=device)
    given = scores(rng, rows, 9, 6)
    with unchanged(given, lengths):
        result = submission.ctc_greedy_decode(given, lengths)
    assert_equal(result, decoded(rows, 0), what=f"每個 frame 最可能的是 {rows} 時，解碼的結果")


@pytest.mark.numeric
@pytest.mark.parametrize("blank", [0, 4])
def test_decode(submission, rng, device, blank):
    """隨機的序列，blank 可以不是 0"""
    rows = [rng.integers(0, 5, (n,)).repeat_interleave(rng.integers(1, 4, (n,))).tolist() for n in (12, 3, 20, 7, 1)]
    rows.append([blank, 2, 2, blank, 2, 3, blank])
    lengths = torch.tensor([len(row) for row in rows], device=device)
    result = submission.ctc_greedy_decode(scores(rng, rows, int(lengths.max()) + 3, 5), lengths, blank)
    assert_equal(result, decoded(rows, blank), what=f"blank = {blank} 時解碼的結果")


@pytest.mark.behaviour
def test_decode_padding(submission, rng, device):
    """解碼不讀長度以外的 frame"""
    rows = [[1, 0, 2], [3, 3], [2, 1, 1, 0]]
    lengths = torch.tensor([3, 2, 4], device=device)
    padded = [row + [5, 0, 5, 4][: 6 - len(row)] for row in rows]
    result = submission.ctc_greedy_decode(scores(rng, padded, 6, 6), lengths)
    assert_equal(result, decoded(rows, 0), what=f"每個 frame 最可能的是 {padded}、lengths = [3, 2, 4] 時，解碼的結果")


# ── 三者合起來 ──


@pytest.mark.behaviour
def test_learns(submission, device):
    """學得會：60 步記住三個字"""
    # 預設的初值 60 個種子：全部在第 36 步以前就解碼正確；60 步後損失的對數平均 −5.8，標準差 0.22，最大 −5.3。
    # 解碼會錯的損失在 −1.6 以上，相差十九個標準差；正交、Xavier 的初值更快。
    letters = "_" + "".join(sorted(set("".join(WORDS))))
    spelled = [[letters.index(letter) for letter in word] for word in WORDS]
    parts = [submission.log_mel(recording(word, device), n_fft=1024, hop_length=640) for word in WORDS]
    frames = torch.cat(parts)
    parts = [(part - frames.mean()) / frames.std() for part in parts]
    features, lengths = nn.utils.rnn.pad_sequence(parts, batch_first=True), [len(part) for part in parts]
    lengths = torch.tensor(lengths, device=device)
    targets = torch.tensor([symbol for word in spelled for symbol in word], device=device)
    sizes = torch.tensor([len(word) for word in spelled], device=device)
    model = submission.SpeechRecognizer(40, 64, len(letters)).to(device)
    adam = Adam(model.parameters(), lr=1e-2)

    def loss_and_scores():
        log_probs = model(features, lengths)
        return F.ctc_loss(log_probs.transpose(0, 1), targets, lengths, sizes), log_probs.detach()

    for _ in range(60):
        adam.step(loss_and_scores()[0])
    model.eval()
    with torch.no_grad():
        loss, log_probs = loss_and_scores()
    result = submission.ctc_greedy_decode(log_probs, lengths)
    texts = ["".join(letters[symbol] for symbol in word) for word in result]
    check(texts == WORDS, f"訓練 60 步後，三段錄音解碼成 {texts}（CTC loss {float(loss):.3g}）", loss)
