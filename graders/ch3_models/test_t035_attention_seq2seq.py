"""035 · 注意力翻譯模型：評分"""

import pytest

from torch_kata.checks import (
    Adam,
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradients,
    assert_parameter_gradients,
    assert_shape,
    assert_type,
    check,
    nn,
    torch,
    unchanged,
)

B, T, S, H = 4, 3, 6, 5
SRC, TGT = 11, 7

MASKS = pytest.mark.parametrize("masking", ["no mask", "mask", "a row without a real key"])
PADS = pytest.mark.parametrize("pad_id", [0, 5], ids=["pad_id=0", "pad_id=5"])


# ── LuongAttention ──


@pytest.fixture
def states(rng, tensor):
    """states(masking, dtype)：decoder (B, T, H)、encoder (B, S, H)，與 mask (B, S) 或 None。"""

    def make(masking, dtype="float32", scale=1.0):
        decoder, encoder = scale * rng.normal((B, T, H), dtype=dtype), scale * rng.normal((B, S, H), dtype=dtype)
        if masking == "no mask":
            return decoder, encoder, None
        lengths = tensor([3, 6, 1, 0 if masking == "a row without a real key" else 4])
        return decoder, encoder, torch.arange(S, device=lengths.device) < lengths[:, None]

    return make


def attend(weight, decoder, encoder, mask):
    """定義，float64；context 由內建的 scaled_dot_product_attention 算。"""
    query, encoder = decoder.double() @ weight.detach().double().T, encoder.double()
    mask = torch.ones(encoder.shape[:2], dtype=torch.bool, device=encoder.device) if mask is None else mask
    exps = (query @ encoder.transpose(1, 2)).masked_fill(~mask[:, None], float("-inf"))
    exps = (exps - exps.amax(-1, keepdim=True)).exp().nan_to_num()
    weights = exps / exps.sum(-1, keepdim=True).clamp(min=1)  # 最大的一項是 1
    context = F.scaled_dot_product_attention(query, encoder, encoder, attn_mask=mask[:, None], scale=1.0)
    return context.masked_fill(~mask.any(1)[:, None, None], 0), weights


@pytest.mark.shape
def test_parts(submission):
    """attn 是沒有 bias 的 nn.Linear，沒有其他參數"""
    attention = submission.LuongAttention(H)
    assert_type(attention.attn, nn.Linear, "attn ")
    shapes = {name: tuple(value.shape) for name, value in attention.state_dict().items()}
    assert_equal(shapes, {"attn.weight": (H, H)}, what="state_dict 的形狀")


@pytest.mark.shape
def test_attention_shape(submission, states, device):
    """context 與 weights 的形狀與 dtype"""
    for dtype in ("float32", "float64"):
        attention = submission.LuongAttention(H).to(device, getattr(torch, dtype))
        context, weights = attention(*states("mask", dtype))
        assert_shape(context, (B, T, H), "context ")
        assert_shape(weights, (B, T, S), "weights ")
        assert_dtype(context, dtype, "context ")
        assert_dtype(weights, dtype, "weights ")


@pytest.mark.numeric
@MASKS
def test_attention(submission, states, rng, device, masking):
    """context 與 weights 符合定義"""
    attention, given = rng.fill_(submission.LuongAttention(H).to(device)), states(masking)
    expected = attend(attention.attn.weight, *given)
    with unchanged(*(x for x in given if x is not None), attention):
        context, weights = attention(*given)
    assert_close(weights, expected[1], what="weights ")
    assert_close(context, expected[0], what="context ")


@pytest.mark.numeric
def test_masked(submission, states, rng, device):
    """每列的和是 1；遮掉的位置恰好是 0，整列遮掉的全是 0"""
    attention, given = rng.fill_(submission.LuongAttention(H).to(device)), states("a row without a real key")
    real = given[2]
    _, weights = attention(*given)
    assert_shape(weights, (B, T, S), "weights ")
    hidden = weights.detach()[~real[:, None].expand(B, T, S)]
    check(bool((hidden == 0).all()), f"遮掉的位置的 weights 應為 0，最大的是 {hidden.abs().max():.3g}", weights)
    sums = real.any(1).double()[:, None].expand(B, T)
    assert_close(weights.sum(-1), sums, what="weights 各列的和")


@pytest.mark.numeric
def test_large_scores(submission, states, rng, device):
    """分數上千時仍正確"""
    # 分數的標準差約 6000：exp 溢位，除非先減去最大值。float64 的定義本身也減了。
    attention, given = rng.fill_(submission.LuongAttention(H).to(device)).double(), states("mask", "float64", 75.0)
    expected = attend(attention.attn.weight, *given)
    assert_close(attention(*given), [*expected], what="（context, weights）")


@pytest.mark.gradient
@MASKS
def test_attention_gradient(submission, states, rng, device, masking):
    """對 decoder、encoder、attn.weight 的梯度"""
    attention = rng.fill_(submission.LuongAttention(3).to(device)).double()
    decoder, encoder, mask = states(masking)
    decoder, encoder = decoder[1:, :2, :3], encoder[1:, :, :3]
    mask = None if mask is None else mask[1:]
    assert_gradients(lambda decoder, encoder: attention(decoder, encoder, mask), decoder, encoder)
    assert_parameter_gradients(attention, decoder, encoder, mask)


# ── AttentionSeq2Seq ──


@pytest.fixture
def model(submission, rng, device):
    """model(pad_id, sizes)：float64、eval 模式的模型，每個參數都加上隨機的值（初值是 0 的也一樣）。"""

    def make(pad_id=0, sizes=(4, 6)):
        made = submission.AttentionSeq2Seq(SRC, TGT, *sizes, pad_id).to(device).double()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.3 * rng.normal(parameter.shape, dtype="float64"))
        return made.eval()

    return make


@pytest.fixture
def sentences(rng):
    """sentences(lengths, pad_id)：src 各條 (S_i,)，含 pad_id 以外的任何字；tgt (B, 5)。"""

    def make(lengths, pad_id=0):
        drawn = (rng.integers(0, SRC - 1, (length,)) for length in lengths)
        return [src + (src >= pad_id) for src in drawn], rng.integers(0, TGT, (len(lengths), 5))

    return make


def padded(sentences, length, pad_id=0):
    return torch.stack([F.pad(sentence, (0, length - len(sentence)), value=pad_id) for sentence in sentences])


def other(words, size, keep=None):
    """每個字都換成別的（也不是 keep）。"""
    words = (words + 1) % size
    return words if keep is None else torch.where(words == keep, (words + 1) % size, words)


@pytest.mark.shape
def test_shape(submission, sentences, device):
    """logits 的形狀與 dtype"""
    src, tgt = sentences([5, 2, 4])
    for dtype in ("float32", "float64"):
        made = submission.AttentionSeq2Seq(SRC, TGT, 4, 6).to(device, getattr(torch, dtype))
        logits = made(padded(src, 6), tgt)
        assert_shape(logits, (3, 5, TGT))
        assert_dtype(logits, dtype)


@pytest.mark.behaviour
def test_uses_attention(submission, model):
    """模型裡有 LuongAttention"""
    found = [type(part).__name__ for part in model().modules()]
    there = any(isinstance(part, submission.LuongAttention) for part in model().modules())
    check(there, "AttentionSeq2Seq 裡沒有 LuongAttention", found)


@pytest.mark.behaviour
@PADS
def test_padding(model, sentences, pad_id):
    """與 src 尾端的 padding、同一個 batch 的其他句子無關"""
    made, (src, tgt) = model(pad_id), sentences([4, 7, 2, 1], pad_id)
    expected = torch.cat([made(src[row][None], tgt[row : row + 1]) for row in range(4)]).detach()
    for length in (7, 9):
        given = padded(src, length, pad_id)
        with unchanged(given, tgt, made):
            logits = made(given, tgt)
        assert_close(logits, expected, what=f"四句補到長度 {length} 一起送入，與各自單獨送入的 logits ")


@pytest.mark.behaviour
def test_future(model, sentences):
    """logits[:, t] 與 tgt 在 t 之後的字無關"""
    made, (src, tgt) = model(), sentences([4, 7, 2])
    src = padded(src, 7)
    expected = made(src, tgt).detach()
    for step in range(4):
        changed = torch.cat([tgt[:, : step + 1], other(tgt[:, step + 1 :], TGT)], dim=1)
        logits = made(src, changed)[:, : step + 1]
        assert_close(logits, expected[:, : step + 1], what=f"改了 tgt[:, {step + 1}:]，logits[:, :{step + 1}] ")


@pytest.mark.behaviour
def test_tgt_matters(model, sentences):
    """logits[:, t] 與 tgt[:, t] 有關"""
    # 寬一點、多幾句：只有 6 個單元的 ReLU，每千次就有一次在某一步全部是 0。
    made, (src, tgt) = model(sizes=(16, 32)), sentences([4, 7, 2] * 4)
    src = padded(src, 7)
    before = made(src, tgt).detach()
    for step in range(5):
        changed = tgt.clone()
        changed[:, step] = other(tgt[:, step], TGT)
        logits = made(src, changed).detach()
        change = float((logits - before)[:, step].abs().max())
        check(change > 1e-9, f"改了 tgt[:, {step}]，logits[:, {step}] 完全沒變", logits)


@pytest.mark.behaviour
def test_src_matters(model, sentences):
    """與 src 的每一個字有關"""
    made, (src, tgt) = model(sizes=(16, 32)), sentences([5] * 12)
    src = padded(src, 7)
    before = made(src, tgt).detach()
    for place in range(5):
        changed = src.clone()
        changed[:, place] = other(src[:, place], SRC, keep=0)
        logits = made(changed, tgt).detach()
        change = float((logits - before).abs().max())
        check(change > 1e-9, f"改了 src[:, {place}]，logits 完全沒變", logits)


@pytest.mark.gradient
def test_gradient(model, sentences):
    """每個參數都有梯度，而且與數值微分相符"""
    src, tgt = sentences([3, 6, 2])
    # tgt 裡沒有 pad_id：有 padding_idx 的 embedding 在那裡沒有梯度，也是常見的寫法。
    assert_parameter_gradients(model(), padded(src, 6), tgt.clamp(min=1))


@pytest.mark.behaviour
def test_learns(submission, rng, device):
    """學得會：把四個字倒過來"""
    # 每 25 步量一次，到 95% 就停。三種寫法（GRU；雙向 LSTM 加 input feeding；tanh RNN）各 50 個種子，最慢的分別是
    # 75、100、50 步；300 步裡一次都沒到的機會遠在 1e-6 以下。來源句沒有傳到時，六個字中猜一個，約 17%。
    made = submission.AttentionSeq2Seq(8, 8, 32, 64).to(device)
    optimizer = Adam(made.parameters(), lr=5e-3)

    def batch(size):
        src = rng.integers(2, 8, (size, 4))
        return src, F.pad(src.flip(1)[:, :-1], (1, 0), value=1), src.flip(1)  # 1 是 bos

    src, tgt, answers = batch(256)
    for step in range(1, 301):
        made.train()
        given, fed, wanted = batch(64)
        optimizer.step(F.cross_entropy(made(given, fed).flatten(0, 1), wanted.flatten()))
        if step % 25 == 0:
            with torch.no_grad():
                right = float((made.eval()(src, tgt).argmax(-1) == answers).float().mean())
            if right >= 0.95:
                return
    check(False, f"訓練 300 步後，256 個新句子只有 {right:.0%} 的字正確", right)
