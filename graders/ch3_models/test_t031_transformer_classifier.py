"""031 · Transformer 文本分類：評分"""

import contextlib

import pytest

from torch_kata.checks import (
    Adam,
    F,
    assert_close,
    assert_dtype,
    assert_finite,
    assert_parameter_gradients,
    assert_shape,
    check,
    nn,
    raises,
    torch,
    unchanged,
)

V, E, HEADS, CLASSES, LAYERS, LONGEST = 12, 8, 2, 3, 2, 9

PADS = pytest.mark.parametrize("pad_id", [0, 5], ids=["pad_id=0", "pad_id=5"])


@pytest.fixture
def model(submission, rng, device):
    """model(pad_id)：float64、eval 模式的模型，每個參數都加上隨機的值（初值是 0 的也一樣）。"""

    def make(pad_id=0):
        made = submission.TransformerClassifier(V, E, HEADS, CLASSES, LAYERS, LONGEST, pad_id).to(device).double()
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.2 * rng.normal(parameter.shape, dtype="float64"))
        return made.eval()

    return make


@pytest.fixture
def texts(rng):
    """texts(lengths, pad_id)：各條 (T_i,)，含 pad_id 以外的任何 token。"""

    def make(lengths, pad_id=0):
        drawn = (rng.integers(0, V - 1, (length,)) for length in lengths)
        return [text + (text >= pad_id) for text in drawn]

    return make


def padded(texts, length, pad_id):
    return torch.stack([F.pad(text, (0, length - len(text)), value=pad_id) for text in texts])


def with_graph_or_not():
    """建計算圖，與不建：PyTorch 的 Transformer 在後者走另一條路。"""
    return (("建計算圖", contextlib.nullcontext()), ("no_grad", torch.no_grad()))


def alone(model, texts):
    """每條各自單獨送入、沒有 padding 的 logits。"""
    return torch.cat([model(text[None]) for text in texts]).detach()


@pytest.mark.shape
@pytest.mark.parametrize("length", [1, LONGEST], ids=["T=1", "T=max_seq_length"])
def test_shape(submission, texts, device, length):
    """輸出的形狀與 dtype"""
    for dtype in ("float32", "float64"):
        made = submission.TransformerClassifier(V, E, HEADS, CLASSES, LAYERS, LONGEST).to(device, getattr(torch, dtype))
        logits = made(torch.stack(texts([length] * 4)))
        assert_shape(logits, (4, CLASSES))
        assert_dtype(logits, dtype)


@pytest.mark.shape
def test_layers(submission):
    """encoder 的層數、head 數與 feed-forward 的寬度"""
    for heads, layers in ((2, 3), (4, 1)):
        made = submission.TransformerClassifier(V, E, heads, CLASSES, layers, LONGEST)
        parts = [part for part in made.modules() if isinstance(part, nn.TransformerEncoderLayer)]
        found = [(part.self_attn.num_heads, part.linear1.out_features) for part in parts]
        message = (
            f"embed_size={E}、num_heads={heads}、num_layers={layers} 時，各個 nn.TransformerEncoderLayer 的"
            f"（head 數, feed-forward 的寬度）應為 {[(heads, 4 * E)] * layers}，得到 {found}"
        )
        check(found == [(heads, 4 * E)] * layers, message, [found, len(made.state_dict())])


@pytest.mark.numeric
def test_other_samples(model, texts):
    """與同一個 batch 的其他樣本無關"""
    made, given = model(), texts([6] * 4)
    expected, tokens = alone(made, given), torch.stack(given)
    for name, context in with_graph_or_not():
        with context, unchanged(tokens, made):
            logits = made(tokens)
        assert_close(logits, expected, what=f"（{name}）四個樣本一起送入，與各自單獨送入的 logits ")


@pytest.mark.numeric
@PADS
def test_padding(model, texts, pad_id):
    """與尾端補了多少 pad_id 無關"""
    made, given = model(pad_id), texts([5, 2, 7, 1], pad_id)
    expected = alone(made, given)
    for length in (7, LONGEST):
        tokens = padded(given, length, pad_id)
        for name, context in with_graph_or_not():
            with context, unchanged(tokens, made):
                logits = made(tokens)
            assert_close(logits, expected, what=f"（{name}）補到長度 {length}，與沒有補的 logits ")


@pytest.mark.numeric
def test_logits(model, texts):
    """輸出沒有經過 softmax 或 log_softmax"""
    logits = model()(torch.stack(texts([6] * 4)))
    total = logits.exp().sum(1)
    check(not torch.allclose(total, torch.ones_like(total)), "exp(輸出) 的和是 1：那是 log_softmax", logits)
    check(not torch.allclose(logits.sum(1), logits.new_ones(4)), "輸出的和是 1：那是機率，不是 logits", logits)


@pytest.mark.gradient
@PADS
def test_gradient(model, texts, device, pad_id):
    """每個參數都有梯度，而且與數值微分相符"""
    # pad_id = 5 時 token 0 是一個字，一定要出現：padding_idx 寫死成 0 的，它學不到東西。
    first = torch.arange(LONGEST, device=device)
    given = [first + (first >= pad_id), *texts([5, 3], pad_id)]
    assert_parameter_gradients(model(pad_id), padded(given, LONGEST, pad_id))


@pytest.mark.behaviour
def test_order(model, rng):
    """調換兩個 token 的位置會改變 logits"""
    made, tokens = model(), torch.stack([1 + rng.permutation(V - 1)[:7] for _ in range(3)])
    first, second = rng.permutation(7)[:2].tolist()
    swapped = tokens.clone()
    swapped[:, [first, second]] = tokens[:, [second, first]]
    logits, others = made(tokens), made(swapped)
    # 沒有位置資訊時只差捨入誤差，約 1e-15。
    change = (logits - others).abs().max().item()
    check(change > 1e-6, f"調換第 {first} 與第 {second} 個 token，logits 完全沒變：模型不知道順序", logits)


@pytest.mark.behaviour
def test_too_long(model, texts):
    """T > max_seq_length：ValueError"""
    made, given = model(), texts([LONGEST + 4] * 2)
    with raises(ValueError, LONGEST + 4):
        made(torch.stack(given))


@pytest.mark.behaviour
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_all_padding(model, texts, mode):
    """整列都是 padding 時，logits 是有限值"""
    made = model().train(mode == "train")
    tokens = padded(texts([5, 0, 7]), 7, 0)
    for rows, what in ((tokens, "中間一列是 padding"), (tokens[1:2], "只有一列，全是 padding")):
        for name, context in with_graph_or_not():
            with context:
                logits = made(rows)
            check(made.training == (mode == "train"), f"呼叫之後，模型不再是 {mode} 模式", "mode")
            assert_finite(logits, what=f"（{mode}、{name}、{what}）logits ")


@pytest.mark.numeric
def test_beside_all_padding(model, texts):
    """整列都是 padding 的樣本，不影響其他樣本"""
    made, given = model(), texts([5, 0, 7])
    expected = alone(made, given[::2])
    for name, context in with_graph_or_not():
        with context:
            logits = made(padded(given, 7, 0))[::2]
        assert_close(logits, expected, what=f"（{name}）與一列 padding 一起送入，與各自單獨送入的 logits ")


@pytest.mark.gradient
def test_all_padding_gradient(model, texts, rng):
    """整列都是 padding 時，梯度是有限值"""
    made = model()
    (made(padded(texts([5, 0, 7]), 7, 0)) * rng.normal((3, CLASSES))).sum().backward()
    for name, parameter in made.named_parameters():
        if parameter.requires_grad:
            assert_finite(parameter.grad, what=f"{name} 的梯度")


def seven_and_three(rng, count):
    """(count, 6) 的序列，恰有一個 7 與一個 3；標籤是 7 是否在 3 之前。"""
    others = torch.tensor([1, 2, 4, 5, 6, 8, 9], device=rng.device)
    tokens = others[rng.integers(0, 7, (count, 6))]
    places = rng.uniform((count, 6)).argsort(1)[:, :2]
    tokens.scatter_(1, places, torch.tensor([[7, 3]], device=rng.device).expand(count, -1))
    return tokens, (places[:, 0] < places[:, 1]).long()


@pytest.mark.behaviour
def test_learns(submission, rng, device):
    """學得會：7 是否在 3 之前"""
    # 每 50 步量一次，到 75% 就停：不知道順序的模型是 50%，標準差 2.2%，差 11 個標準差。參考解 50 到 100 步就有 90%；
    # [CLS]、固定的位置編碼、embedding 乘 √E、Post-LN 一起用，12 次中有兩次到 900 步才 80% 與 85%。學到一半的再給一次。
    new, answers = seven_and_three(rng, 512)

    def learned():
        made = submission.TransformerClassifier(10, 32, 4, 2, 1, 6).to(device)
        optimizer = Adam(made.parameters(), lr=2e-3)
        for step in range(1, 901):
            made.train()
            tokens, labels = seven_and_three(rng, 32)
            optimizer.step(F.cross_entropy(made(tokens), labels))
            if step % 50 == 0:
                with torch.no_grad():
                    right = float((made.eval()(new).argmax(1) == answers).float().mean())
                if right >= 0.75:
                    break
        return right

    right = learned()
    if 0.6 <= right < 0.75:
        right = learned()
    check(right >= 0.75, f"訓練 900 步後，512 個新樣本只答對 {right:.0%}", right)
