"""038 · RNN 文本生成：評分"""

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_frequencies,
    assert_same_module,
    assert_shape,
    assert_type,
    check,
    fail,
    nn,
    raises,
    same_random_state,
    torch,
    unchanged,
)

V, E, H = 11, 4, 6


def oracle():
    """題目所說的模型。"""

    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(V, E)
            self.rnn = nn.RNN(E, H, batch_first=True)
            self.fc = nn.Linear(H, V)

        def forward(self, tokens, hidden=None):
            out, last = self.rnn(self.embedding(tokens), hidden)
            return self.fc(out), last

    return Oracle()


@pytest.fixture
def pair(submission, rng, device):
    """作答的 CharRNN 與權重相同的 oracle（float64）。"""
    truth = rng.fill_(oracle().to(device))
    module = submission.CharRNN(V, E, H).to(device)
    module.load_state_dict(truth.state_dict())
    return module, truth.double()


@pytest.fixture
def tokens(rng):
    """(4, 7) 的字，含 0。"""
    drawn = rng.integers(0, V, (4, 7))
    drawn[2, 3] = 0
    return drawn


@pytest.fixture
def prompt(tensor):
    """(5,)：到各個位置為止的和 mod V 都不同，也都不是 0：少讀、重讀、看錯位置，adder 的 argmax 都會變。"""
    return tensor([3, 1, 5, 1, 7])


@pytest.fixture
def adder(device):
    """adder()：argmax 是「到目前為止所有字的和 mod V」的模型，hidden 是那個和；它記下每次呼叫。

    帶著 hidden，和就一再加倍：2 是 mod 11 的原根，連續的字都不同。忘了 hidden，就一直是同一個字。
    """

    class Adder(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones((), device=device))
            self.shapes, self.modes, self.graphs = [], [], []

        def forward(self, tokens, hidden=None):
            if tokens.dim() != 2:
                fail(f"送進模型的 tokens 應是 (1, n)，得到 {tuple(tokens.shape)}", f"tokens {tuple(tokens.shape)}")
            self.shapes.append(tuple(tokens.shape))
            self.modes.append(self.training)
            self.graphs.append(torch.is_grad_enabled())
            total = tokens.cumsum(1) + (0 if hidden is None else hidden["sum"])
            return self.scale * 5 * F.one_hot(total % V, V).float(), {"sum": total[:, -1:]}

    return Adder


def sums(prompt, length):
    """adder 的 argmax：每個字是前面所有字的和 mod V。"""
    text = prompt.tolist()
    for _ in range(length):
        text.append(sum(text) % V)
    return torch.tensor(text, device=prompt.device)


@pytest.fixture
def constant(tensor, rng):
    """constant(logits)：不論讀到什麼，都給同樣 logits 的模型。"""

    class Constant(nn.Module):
        def __init__(self, logits):
            super().__init__()
            self.logits = nn.Parameter(tensor(logits))

        def forward(self, tokens, hidden=None):
            return self.logits.expand(*tokens.shape, -1), hidden

    return Constant


@pytest.mark.shape
def test_parts(submission):
    """CharRNN 的子模組與 state_dict"""
    module = submission.CharRNN(V, E, H)
    for name, kind in (("embedding", nn.Embedding), ("rnn", nn.RNN), ("fc", nn.Linear)):
        assert_type(getattr(module, name), kind, f"{name} ")
    check(module.rnn.batch_first, "rnn 應為 batch_first=True：tokens 是 (B, T)", "batch_first=False")
    expected = {name: tuple(value.shape) for name, value in oracle().state_dict().items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
def test_shape(submission, tokens, device):
    """logits 與 hidden 的形狀與 dtype"""
    for dtype in ("float32", "float64"):
        logits, hidden = submission.CharRNN(V, E, H).to(device, getattr(torch, dtype))(tokens)
        assert_shape(logits, (4, 7, V), "logits ")
        assert_shape(hidden, (1, 4, H), "hidden ")
        assert_dtype(logits, dtype, "logits ")
        assert_dtype(hidden, dtype, "hidden ")


@pytest.mark.numeric
@pytest.mark.parametrize("given", [False, True], ids=["hidden=None", "hidden"])
def test_forward(pair, tokens, rng, given):
    """logits 與 hidden 等於 nn.RNN 算出的"""
    module, truth = pair
    hidden = rng.normal((1, 4, H)) if given else None
    expected = truth(tokens, hidden.double() if given else None)
    module(tokens.flip(1))  # 不該留到下一次呼叫
    with unchanged(tokens, module):
        assert_close(module(tokens, hidden), expected, what="(logits, hidden) ")


@pytest.mark.numeric
def test_step_by_step(pair, tokens):
    """分段送入等於一次送入"""
    module, truth = pair
    expected, last = truth(tokens)
    hidden, pieces = None, []
    for piece in tokens.split([1, 1, 3, 2], dim=1):
        logits, hidden = module(piece, hidden)
        pieces.append(logits)
    assert_close([torch.cat(pieces, dim=1), hidden], [expected, last], what="分段送入的 (logits, hidden) ")


@pytest.mark.gradient
def test_gradient(pair, tokens, rng):
    """每個參數與 hidden 的梯度"""
    assert_same_module(*pair, tokens, rng.normal((1, 4, H)))


@pytest.mark.shape
@pytest.mark.parametrize("length", [0, 6])
def test_generated_shape(submission, adder, prompt, length):
    """generate 的結果是 prompt 接上 length 個字"""
    expected = prompt.clone()
    text = submission.generate(adder(), prompt, length)
    assert_shape(text, (5 + length,))
    assert_dtype(text, "int64")
    assert_equal(text[:5], expected, what="結果開頭的 prompt")


@pytest.mark.numeric
def test_argmax(submission, adder, prompt):
    """temperature 0：由最後一個位置取 argmax，再餵回去，不抽樣"""
    expected = sums(prompt, 12)
    with same_random_state():
        text = submission.generate(adder(), prompt, 12, temperature=0)
    assert_equal(text, expected, what="「下一個字是前面的和」的模型所生成的字")


@pytest.mark.numeric
def test_argmax_of_rnn(submission, pair, rng):
    """temperature 0：CharRNN 生成的字與重讀全文的相同"""
    module, truth = pair
    given = rng.integers(0, V, (3,))
    expected = given[None]
    for _ in range(20):
        expected = torch.cat([expected, truth(expected)[0][:, -1].argmax(-1, keepdim=True)], dim=1)
    # 兩邊都是 float64：最大的兩個 logits 近到分不出來的機會在 1e-10 以下。
    assert_equal(submission.generate(module.double(), given, 20, temperature=0.0), expected[0], what="生成的字")


@pytest.mark.numeric
@pytest.mark.parametrize(
    "temperature, shift", [(None, 0), (0.5, 0), (2.0, 0), (None, 1000)], ids=["default", "0.5", "2", "large-logits"]
)
def test_distribution(submission, constant, rng, tensor, temperature, shift):
    """抽樣服從 softmax(logits / temperature)"""
    order = rng.permutation(5).tolist()
    logits = [0.5 * rank + shift for rank in order]  # 最小的機率 0.012，1500 次中約 18 次
    expected = tensor(logits, dtype="float64").div(temperature or 1.0).softmax(0)
    setting = {} if temperature is None else {"temperature": temperature}
    generator = torch.Generator(expected.device).manual_seed(rng.seed())
    text = submission.generate(constant(logits), tensor([0, 1]), 1500, generator=generator, **setting)
    counts = torch.bincount(text[2:], minlength=5).tolist()
    check(len(counts) == 5, f"生成了不在字彙裡的字：{int(text.max())}", counts)
    assert_frequencies(counts, expected.tolist(), what=f"logits 為 {logits} 時各字的次數")


@pytest.mark.behaviour
def test_steps(submission, adder, prompt):
    """第一次送 (1, P)；總共不超過 P + length 個字"""
    model = adder()
    submission.generate(model, prompt, 8)
    check(model.shapes[0] == (1, 5), f"第一次送進模型的應是整段 prompt (1, 5)，得到 {model.shapes[0]}", model.shapes)
    fed = sum(rows * columns for rows, columns in model.shapes)
    check(fed <= 13, f"prompt 5 個字、生成 8 個，送進模型的字卻有 {fed} 個：全文不必重讀", model.shapes)


@pytest.mark.behaviour
def test_same_generator(submission, constant, tensor, rng, device):
    """同樣狀態的 generator 給出同樣的字，接著用則不同；不動用全域亂數"""
    model, seed, given = constant([0.0] * V), rng.seed(), tensor([2, 7])
    texts = []
    for number in (seed, seed, seed + 1):
        with same_random_state():
            generator = torch.Generator(device).manual_seed(number)
            texts.append(submission.generate(model, given, 40, generator=generator))
    further = submission.generate(model, given, 40, generator=generator)  # the last one, where it has got to
    same, other = torch.equal(texts[0], texts[1]), torch.equal(texts[0], texts[2])
    check(same, "generator 的 seed 相同，兩次生成的字卻不同", texts)
    check(not other, "generator 的 seed 不同，兩次生成的字卻相同", texts)
    message = "同一個 generator 接著再用，生成的字卻和前一次相同：不可重設它的種子"
    check(not torch.equal(texts[2], further), message, further)


@pytest.mark.behaviour
def test_without_generator(submission, constant, tensor):
    """沒有 generator 時，每次的結果不同"""
    model, given = constant([0.0] * V), tensor([2, 7])
    texts = [submission.generate(model, given, 40) for _ in range(2)]  # 碰巧相同的機會是 1/11⁴⁰
    check(not torch.equal(*texts), "沒有給 generator，兩次生成的 40 個字卻完全相同", texts)


@pytest.mark.behaviour
def test_eval_mode(submission, adder, prompt):
    """生成時是 eval 模式"""
    model = adder()
    submission.generate(model, prompt, 3)
    check(not any(model.modes), "生成時模型在 train() 模式：dropout 會照樣丟", model.modes)


@pytest.mark.behaviour
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_unchanged(submission, adder, prompt, training):
    """結束後還原模式，不改動模型與 prompt"""
    model = adder().train(training)
    with unchanged(model, prompt):
        submission.generate(model, prompt, 3)


@pytest.mark.behaviour
def test_no_graph(submission, adder, prompt):
    """生成時不建計算圖"""
    model = adder()
    submission.generate(model, prompt, 3)
    check(not any(model.graphs), "生成時 torch.is_grad_enabled() 是 True：計算圖會越接越長", model.graphs)


@pytest.mark.behaviour
@pytest.mark.parametrize("size, temperature", [(0, 1.0), (5, -0.25)], ids=["empty-prompt", "negative-temperature"])
def test_bad_input(submission, adder, prompt, size, temperature):
    """空的 prompt、負的 temperature：ValueError，模式不變"""
    model = adder()
    with unchanged(model), raises(ValueError, *([temperature] if temperature < 0 else [])):
        submission.generate(model, prompt[:size], 3, temperature=temperature)
