"""047 · Seq2Seq：評分"""

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
    nn,
    same_random_state,
    torch,
    unchanged,
)

SRC, TGT, E, H = 9, 7, 5, 6
BOS = 3


def oracle():
    """題目所說的模型。"""

    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.src_embedding, self.tgt_embedding = nn.Embedding(SRC, E), nn.Embedding(TGT, E)
            self.encoder, self.decoder = nn.LSTM(E, H, batch_first=True), nn.LSTM(E, H, batch_first=True)
            self.fc = nn.Linear(H, TGT)

        def forward(self, src, tgt):
            encoded = self.encoder(self.src_embedding(src))
            return self.fc(self.decoder(self.tgt_embedding(tgt), encoded[1])[0])

    return Oracle()


@pytest.fixture
def pair(submission, rng, device):
    """pair(scale)：作答的 Seq2Seq 與權重相同的 oracle（float64）。"""

    def make(scale=0.5):
        truth = rng.fill_(oracle().to(device), scale)
        module = submission.Seq2Seq(SRC, TGT, E, H).to(device)
        module.load_state_dict(truth.state_dict())
        return module, truth.double()

    return make


@pytest.fixture
def sentences(rng):
    """src (4, 5) 與 tgt (4, 3)，都含 0。"""
    src, tgt = rng.integers(0, SRC, (4, 5)), rng.integers(0, TGT, (4, 3))
    src[1, 2], tgt[2, 1] = 0, 0
    return src, tgt


def endless(truth, src, steps):
    """不理會 eos，每一步的 argmax：(B, steps)。"""
    written = torch.full((len(src), 1), BOS, device=src.device)
    with torch.no_grad():
        for _ in range(steps):
            written = torch.cat([written, truth(src, written)[:, -1:].argmax(-1)], dim=1)
    return written[:, 1:]


def ended(written, eos):
    """每列從第一個 eos 起都是 eos；全部結束就停。"""
    after = (written == eos).cumsum(1) > 0
    steps = 1 + int((~after.all(0)).sum())
    return written.masked_fill(after, eos)[:, :steps]


@pytest.fixture
def decoding(pair, rng):
    """decoding(wanted, steps)：float64 的模型、src (4, 5)、eos，與 4 列不理會 eos 的字，合於 wanted(字, eos)。

    權重大的 RNN 寫出的字看起來是亂的：從 400 個句子裡挑 4 個，很快就挑得到。
    """

    def find(wanted, steps):
        while True:
            module, truth = pair(scale=1.5)
            src = rng.integers(0, SRC, (400, 5))
            written = endless(truth, src, steps)
            for eos in set(range(1, TGT)) - {BOS}:
                rows = wanted(written, eos)
                if len(rows) >= 4:
                    return module.double(), src[rows[:4]], eos, written[rows[:4]]

    return find


def ends_at_different_steps(written, eos):
    """第一個 eos 各在第 2、5、7、3 步；最早結束的那一列，eos 之後還寫了別的字。"""
    first = torch.where((written == eos).any(1), (written == eos).long().argmax(1), -1)
    early = (first == 1) & (written[:, 2:6] != eos).any(1)
    groups = [early.nonzero()[:, 0], *((first == step).nonzero()[:, 0] for step in (4, 6, 2))]
    return torch.stack([group[0] for group in groups]) if all(map(len, groups)) else []


@pytest.mark.shape
def test_parts(submission):
    """子模組與 state_dict"""
    module = submission.Seq2Seq(SRC, TGT, E, H)
    for name in ("src_embedding", "tgt_embedding"):
        assert_type(getattr(module, name), nn.Embedding, f"{name} ")
        assert_equal(getattr(module, name).padding_idx, None, what=f"{name}.padding_idx")
    for name in ("encoder", "decoder"):
        assert_type(getattr(module, name), nn.LSTM, f"{name} ")
        assert_equal(getattr(module, name).batch_first, True, what=f"{name}.batch_first")
    expected = {name: tuple(value.shape) for name, value in oracle().state_dict().items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")
    same = submission.Seq2Seq(TGT, TGT, E, H)
    apart = same.src_embedding.weight is not same.tgt_embedding.weight
    check(apart, "src_vocab = tgt_vocab 時，src_embedding 與 tgt_embedding 成了同一個", "shared")


@pytest.mark.shape
def test_shape(submission, sentences, device):
    """logits 的形狀與 dtype"""
    src, tgt = sentences
    for dtype, b in (("float32", 4), ("float64", 1)):
        logits = submission.Seq2Seq(SRC, TGT, E, H).to(device, getattr(torch, dtype))(src[:b], tgt[:b])
        assert_shape(logits, (b, 3, TGT))
        assert_dtype(logits, dtype)


@pytest.mark.numeric
def test_forward(pair, sentences):
    """logits 等於 nn.LSTM 接起來的"""
    module, truth = pair()
    expected = truth(*sentences)
    with unchanged(*sentences, module):
        assert_close(module(*sentences), expected)


@pytest.mark.numeric
def test_stepping(pair, sentences):
    """一步一步餵 decoder 等於一次餵完"""
    module, truth = pair()
    src, tgt = sentences
    expected = truth(src, tgt)
    pieces = [module(src, tgt[:, : step + 1])[:, -1] for step in range(3)]
    assert_close(torch.stack(pieces, 1), expected, what="只給 tgt 的前幾個字時，最後一步的 logits ")
    _, state = module.encoder(module.src_embedding(src))
    pieces = []
    for step in range(3):
        out, state = module.decoder(module.tgt_embedding(tgt[:, step : step + 1]), state)
        pieces.append(module.fc(out))
    assert_close(torch.cat(pieces, 1), expected, what="一步一步餵 decoder 的 logits ")


@pytest.mark.gradient
def test_gradient(pair, sentences):
    """每個參數的梯度"""
    assert_same_module(*pair(), *sentences)


@pytest.mark.numeric
def test_greedy(pair, submission, rng):
    """greedy_decode 的每個字"""
    module, truth = pair(scale=1.5)
    sentences, eos = rng.integers(0, SRC, (40, 5)), rng.choice([1, 2, 4, 5, 6])
    for src in (sentences, sentences[:1]):
        expected = ended(endless(truth, src, 8), eos)
        made = submission.greedy_decode(module.double(), src, BOS, eos, 8)
        assert_equal(made, expected, what=f"（eos_id={eos}）{len(src)} 句")


@pytest.mark.numeric
def test_ends(decoding, submission):
    """一列結束之後填 eos；全部結束就停"""
    module, src, eos, written = decoding(ends_at_different_steps, 12)
    expected = ended(written, eos)
    result = submission.greedy_decode(module, src, BOS, eos, 12)
    assert_equal(result, expected, what=f"四句各在第 2、5、7、3 步寫出 eos（{eos}），greedy_decode 的結果")


@pytest.mark.numeric
def test_never_ends(decoding, submission):
    """沒有結束就走滿 max_len"""
    module, src, eos, written = decoding(lambda written, eos: (written != eos).all(1).nonzero()[:, 0], 6)
    result = submission.greedy_decode(module, src, BOS, eos, 6)
    assert_equal(result, written, what=f"六步都沒有寫出 eos（{eos}），greedy_decode 的結果")


@pytest.mark.numeric
def test_ends_at_once(decoding, submission):
    """全部在第一步就結束：L = 1"""
    module, src, eos, written = decoding(lambda written, eos: (written[:, 0] == eos).nonzero()[:, 0], 2)
    result = submission.greedy_decode(module, src, BOS, eos, 5)
    assert_equal(result, written[:, :1], what=f"第一步就全部寫出 eos（{eos}），greedy_decode 的結果")


@pytest.mark.behaviour
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_unchanged(pair, submission, sentences, training):
    """greedy_decode 不改動 src、模型與它的模式、全域亂數"""
    module, src = pair()[0].train(training), sentences[0]
    with unchanged(module, src), same_random_state():
        submission.greedy_decode(module, src, BOS, 1, 4)


@pytest.mark.behaviour
def test_no_graph(pair, submission, sentences):
    """greedy_decode 不建計算圖"""
    module, graphs = pair()[0], []
    for part in (module.encoder, module.decoder, module.fc):
        part.register_forward_pre_hook(lambda *_: graphs.append(torch.is_grad_enabled()))
    submission.greedy_decode(module, sentences[0], BOS, 1, 4)
    check(not any(graphs), "生成時 torch.is_grad_enabled() 是 True：白白建了計算圖", graphs)


@pytest.mark.behaviour
def test_learns(submission, rng, device):
    """學得會：把四個字倒過來寫"""
    # 每 20 步量一次，到 95% 就停。60 個種子中 57 個在 60 步、3 個在 80 步；100 步之後量到的 360 個值最低是 97.0%，
    # 200 步裡一次都沒到的機會遠在 1e-6 以下。來源句沒有傳到時，六個字中猜一個，約 17%。
    module = submission.Seq2Seq(8, 8, 32, 64).to(device)
    optimizer = Adam(module.parameters(), lr=5e-3)
    new = rng.integers(2, 8, (256, 4))
    for step in range(1, 201):
        src = rng.integers(2, 8, (64, 4))
        tgt = F.pad(src.flip(1), (1, 1))
        tgt[:, -1] = 1  # 0 是 bos，1 是 eos
        logits = module(src, tgt[:, :-1])
        assert_shape(logits, (64, 5, 8), "logits ")
        optimizer.step(F.cross_entropy(logits.flatten(0, 1), tgt[:, 1:].flatten()))
        if step % 20 == 0:
            written = F.pad(submission.greedy_decode(module, new, 0, 1, 6), (0, 4))[:, :4]
            right = float((written == new.flip(1)).float().mean())
            if right >= 0.95:
                return
    check(False, f"訓練 200 步後，256 個新句子只寫對 {right:.0%} 的字", right)
