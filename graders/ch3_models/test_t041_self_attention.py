"""041 · 自注意力：評分"""

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_finite,
    assert_gradients,
    assert_same_module,
    assert_shape,
    assert_type,
    assert_within_budget,
    forbid,
    nn,
    torch,
    unchanged,
)

pytestmark = forbid(
    "F.scaled_dot_product_attention",
    "F.multi_head_attention_forward",
    "nn.MultiheadAttention",
    "aten::scaled_dot_product_attention",
    "aten::_scaled_dot_product_attention_math",
)

# 四種組合；padding 有的在後面、有的在前面、有的在中間，最後一個樣本全是 padding。
CASES = pytest.mark.parametrize("causal, masked", [(False, False), (False, True), (True, False), (True, True)], ids=str)
MASK = [[1, 1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0, 0]]


def oracle(size, causal):
    """torch 內建的 scaled_dot_product_attention；權重是 V 換成單位矩陣的輸出。"""

    class BuiltIn(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value = nn.Linear(size, size), nn.Linear(size, size), nn.Linear(size, size)

        def forward(self, x, mask=None):
            steps = x.shape[1]
            real = torch.ones_like(x[:, :, 0], dtype=torch.bool) if mask is None else mask
            seen = real[:, None, :].expand(-1, steps, -1)
            seen = seen.tril() if causal else seen
            some = seen.any(-1, keepdim=True)
            # 沒有 key 的列：讓內建的看得見全部，再乘 0，免得它自己的版本對這種列做法不一。
            q, k, seen = self.query(x), self.key(x), seen | ~some
            eye = torch.eye(steps, dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
            out, weights = (F.scaled_dot_product_attention(q, k, v, attn_mask=seen) for v in (self.value(x), eye))
            return out * some, weights * some

    return BuiltIn()


@pytest.fixture
def pair(submission, rng, device):
    """pair(causal, dtype)：作答與權重相同的 oracle（float64）。"""

    def make(causal=False, dtype="float32"):
        truth = rng.fill_(oracle(5, causal).to(device))
        module = submission.SelfAttention(5, causal).to(device, getattr(torch, dtype))
        module.load_state_dict(truth.state_dict())
        return module, truth.double()

    return make


@pytest.fixture
def padding(tensor):
    """(4, 7) 的 mask。"""
    return tensor(MASK).bool()


def results(out, weights):
    return {"out": out, "weights": weights}


@pytest.mark.shape
def test_parts(submission):
    """子模組與 state_dict"""
    module = submission.SelfAttention(5)
    for name in ("query", "key", "value"):
        assert_type(getattr(module, name, None), nn.Linear, f"{name} ")
    expected = {name: tuple(value.shape) for name, value in oracle(5, False).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """out 與 weights 的形狀、dtype"""
    for causal in (False, True):
        module = submission.SelfAttention(5, causal).to(device, getattr(torch, dtype))
        for b, t in [(4, 7), (1, 3), (3, 1)]:
            out, weights = module(rng.normal((b, t, 5), dtype=dtype), rng.bernoulli(0.5, (b, t), dtype="bool"))
            for name, got, shape in (("out ", out, (b, t, 5)), ("weights ", weights, (b, t, t))):
                assert_shape(got, shape, name)
                assert_dtype(got, dtype, name)


@pytest.mark.numeric
@CASES
def test_definition(pair, rng, padding, causal, masked):
    """out 與 weights 符合式子"""
    module, truth = pair(causal=causal)
    x = rng.strided((3, 7, 5))
    given = (x, padding[:3]) if masked else (x,)
    expected = results(*truth(x.double(), *given[1:]))
    # Only the parameters: a mask kept in a non-persistent buffer may grow with T.
    with unchanged(dict(module.named_parameters()), *given):
        assert_close(results(*module(*given)), expected)


@pytest.mark.numeric
@CASES
def test_rows(submission, rng, device, padding, causal, masked):
    """weights 每列加起來是 1，沒有 key 的列是 0"""
    _, weights = submission.SelfAttention(6, causal).to(device)(3 * rng.normal((4, 7, 6)), padding if masked else None)
    some = torch.ones_like(padding)
    if masked:
        some = padding.cummax(1).values if causal else padding.any(1, keepdim=True).expand(-1, 7)
    assert_close(weights.sum(-1), some.double(), what="每列的和")


@pytest.mark.numeric
@pytest.mark.parametrize("causal", [False, True])
def test_no_key(pair, rng, padding, causal):
    """沒有 key 的列，權重與輸出都是 0"""
    module, truth = pair(causal=causal)
    x = rng.normal((4, 7, 5))
    assert_close(results(*module(x, padding)), results(*truth(x.double(), padding)))


@pytest.mark.gradient
@pytest.mark.parametrize("causal", [False, True])
def test_no_key_gradient(pair, rng, padding, causal):
    """有的列沒有 key 時的梯度"""
    assert_same_module(*pair(causal=causal, dtype="float64"), rng.normal((4, 7, 5), dtype="float64"), padding)


@pytest.mark.gradient
@CASES
def test_gradient(pair, rng, padding, causal, masked):
    """輸入與每個參數的梯度"""
    # float64：key 的 bias 對每個 query 的所有分數加上同一個數，梯度是 0，float32 算出來的只是捨入誤差，不能比。
    x = rng.normal((3, 7, 5), dtype="float64")
    assert_same_module(*pair(causal=causal, dtype="float64"), x, *([padding[:3]] if masked else []))


@pytest.mark.gradient
def test_gradcheck(submission, rng, device, tensor):
    """對 x 的數值微分"""
    module = submission.SelfAttention(2, causal=True).to(device).double()
    mask = tensor([[1, 1, 0], [0, 1, 1]]).bool()
    assert_gradients(lambda x: module(x, mask), rng.normal((2, 3, 2)))


@pytest.mark.numeric
def test_large(submission, tensor, device):
    """x 大到 1e3 時的輸出與梯度"""
    # query = key = value = x；各步互相垂直、長短不同，分數不是 0 就是 5e5 以上：每一步只看自己。
    module = submission.SelfAttention(4).to(device)
    for linear in (module.query, module.key, module.value):
        nn.init.eye_(linear.weight), nn.init.zeros_(linear.bias)
    x = 1e3 * torch.diag(tensor([1.0, -1.5, 2.0, 0.7]))[None, :3]
    x.requires_grad_()
    expected = results(x.detach().clone(), torch.eye(3, device=device)[None])
    out, weights = module(x)
    assert_close(results(out, weights), expected)
    (out.sum() + (weights * torch.arange(3.0, device=device)).sum()).backward()
    assert_finite(x.grad, *(parameter.grad for parameter in module.parameters()), what="梯度")


@pytest.mark.numeric
def test_large_negative_scores(submission, tensor, device):
    """分數是很大的負數時，遮住的仍是 0"""
    # 每一步是 a 乘同一個向量，query 反號：分數是 −a_i a_j · 2e6，a_j 最小的那一步得到全部的權重。
    module = submission.SelfAttention(4).to(device)
    for linear in (module.query, module.key, module.value):
        nn.init.eye_(linear.weight), nn.init.zeros_(linear.bias)
    with torch.no_grad():
        module.query.weight.neg_()
    x = 1e3 * tensor([1.0, 1.1, 1.2, 1.3])[None, :, None].expand(1, 4, 4)
    mask = tensor([[False, True, True, True]])
    weights = tensor([[[0.0, 1.0, 0.0, 0.0]] * 4])
    assert_close(results(*module(x, mask)), results(x[:, [1, 1, 1, 1]], weights))


@pytest.mark.behaviour
def test_causal(submission, rng, device):
    """causal 的輸出不受之後的步影響"""
    module = submission.SelfAttention(5, causal=True).to(device)
    x = rng.normal((3, 7, 5))
    for step in (0, 3, 5):
        later = x.clone()
        later[:, step + 1 :] = 10 * rng.normal((3, 6 - step, 5))
        out, weights = (value[:, : step + 1] for value in module(x))
        changed = results(*(value[:, : step + 1] for value in module(later)))
        assert_close(changed, results(out.detach(), weights.detach()), what=f"只改第 {step} 步之後，前 {step + 1} 步的")


@pytest.mark.behaviour
def test_independence(submission, rng, device, padding):
    """不受 padding 的步與別的樣本影響"""
    module = submission.SelfAttention(5).to(device)
    x, noise, mask = rng.normal((3, 7, 5)), 10 * rng.normal((3, 7, 5)), padding[:3]
    out, weights = (value.detach() for value in module(x, mask))
    real = mask[:, :, None]
    got = module(torch.where(real, x, noise), mask)
    for name, before, now in (("out", out, got[0]), ("weights", weights, got[1])):
        assert_close(now * real, before * real, what=f"只改 padding 的步，真的步的 {name} ")
    got = module(torch.cat([x[:1], noise[1:]]), mask)
    assert_close(results(got[0][:1], got[1][:1]), results(out[:1], weights[:1]), what="只改別的樣本，這個樣本的")


@pytest.mark.behaviour
def test_all_real(submission, rng, device):
    """mask 全為 True 與 None 相同"""
    for causal in (False, True):
        module = submission.SelfAttention(5, causal).to(device)
        x = rng.normal((3, 7, 5))
        expected = results(*(value.detach() for value in module(x)))
        assert_close(results(*module(x, torch.ones_like(x[:, :, 0], dtype=torch.bool))), expected)


@pytest.mark.speed
def test_speed(submission, reference, rng, device):
    """(16, 128, 64) 的前向與反向的速度"""
    # 參考解 1；內建 0.6；−inf 與 einsum 1.0；自己寫 softmax 1.4；逐樣本 2.0。逐個 query 8，少數幾次只有 3.7（與 CPU 的
    # cache 有關）；廣播成 (B, T, T, E) 再加總 20；樣本與 query 的雙重迴圈 36。16 個樣本的迴圈慢不了多少，所以不數運算。
    cotangent = rng.normal((16, 128, 64))

    def step(kind):
        layer = kind.to(device)
        return lambda x, mask: layer(x, mask)[0].backward(cotangent)

    def inputs():
        return rng.normal((16, 128, 64), requires_grad=True), rng.bernoulli(0.8, (16, 128), dtype="bool")

    best = reference.SelfAttention(64, causal=True)
    own = submission.SelfAttention(64, causal=True)
    own.load_state_dict(best.state_dict())
    builtin = oracle(64, True)
    assert_within_budget(step(own), step(best), inputs, factor=3.2, gate=False, baseline=step(builtin))
