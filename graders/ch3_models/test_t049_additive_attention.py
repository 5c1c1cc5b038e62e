"""049 · 加法注意力：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_finite,
    assert_gradients,
    assert_same_module,
    assert_shape,
    assert_type,
    nn,
    torch,
    unchanged,
)

MASKED = pytest.mark.parametrize("masked", [False, True], ids=["mask=None", "mask"])
# padding 在後面、在前面、在中間；最後一個樣本全是 padding。
MASK = [[1, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 1], [1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0]]
Q, K, A = 4, 3, 5


def oracle():
    """逐樣本，只取真的步：分數的式子照寫，softmax 用定義。"""

    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.w_query, self.w_key = nn.Linear(Q, A, bias=False), nn.Linear(K, A, bias=False)
            self.v = nn.Linear(A, 1, bias=False)

        def forward(self, query, keys, mask=None):
            weights = []
            for b, (q, k) in enumerate(zip(query, keys, strict=True)):
                real = torch.arange(len(k), device=k.device) if mask is None else mask[b].nonzero()[:, 0]
                energy = (self.w_query.weight * q).sum(1) + (self.w_key.weight * k[real, None]).sum(2)
                power = (self.v.weight * torch.tanh(energy)).sum(1).exp()
                weights.append(torch.zeros_like(k[:, 0]).index_copy(0, real, power / power.sum()))
            weights = torch.stack(weights)
            return (weights[:, :, None] * keys).sum(1), weights

    return Oracle()


@pytest.fixture
def pair(submission, rng, device):
    """作答，與權重相同的 oracle（float64）。"""
    truth = rng.fill_(oracle().to(device), scale=1.0)
    module = submission.AdditiveAttention(Q, K, A).to(device)
    module.load_state_dict(truth.state_dict())
    return module, truth.double()


@pytest.fixture
def padding(tensor):
    """(4, 6) 的 mask。"""
    return tensor(MASK).bool()


@pytest.fixture
def saturated(submission, tensor, device):
    """saturated(v)：query 與投影不起作用，tanh(50 k) 是 ±1，分數是 v · sign(k)。"""

    def make(v):
        module = submission.AdditiveAttention(2, 3, 3).to(device)
        nn.init.zeros_(module.w_query.weight), nn.init.eye_(module.w_key.weight)
        with torch.no_grad():
            module.w_key.weight.mul_(50)
            module.v.weight.copy_(tensor([v]))
        return module

    return make


def results(context, weights):
    return {"context": context, "weights": weights}


@pytest.mark.shape
def test_parts(submission):
    """子模組與 state_dict"""
    module = submission.AdditiveAttention(Q, K, A)
    for name in ("w_query", "w_key", "v"):
        assert_type(getattr(module, name, None), nn.Linear, f"{name} ")
    expected = {name: tuple(value.shape) for name, value in oracle().state_dict().items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """context 與 weights 的形狀、dtype"""
    module = submission.AdditiveAttention(Q, K, A).to(device, getattr(torch, dtype))
    for b, t in [(5, 7), (1, 2), (2, 1), (1, 1)]:
        query, keys = rng.normal((b, Q), dtype=dtype), rng.normal((b, t, K), dtype=dtype)
        context, weights = module(query, keys, rng.bernoulli(0.5, (b, t), dtype="bool"))
        for name, got, shape in (("context ", context, (b, K)), ("weights ", weights, (b, t))):
            assert_shape(got, shape, name)
            assert_dtype(got, dtype, name)


@pytest.mark.numeric
@MASKED
def test_definition(pair, rng, padding, masked):
    """context 與 weights 符合式子"""
    module, truth = pair
    query, keys = rng.strided((3, Q)), rng.strided((3, 6, K))
    mask = [padding[:3]] if masked else []
    expected = results(*truth(query.double(), keys.double(), *mask))
    with unchanged(module, query, keys, *mask):
        assert_close(results(*module(query, keys, *mask)), expected)


@pytest.mark.numeric
@MASKED
def test_rows(pair, rng, padding, masked):
    """weights 每列加起來是 1，全被遮住的列是 0"""
    module, _ = pair
    _, weights = module(rng.normal((4, Q)), rng.normal((4, 6, K)), padding if masked else None)
    expected = (padding.any(1) if masked else torch.ones_like(padding[:, 0])).double()
    assert_shape(weights, (4, 6), "weights ")
    assert_close(weights.sum(1), expected, what="每列的和")


@pytest.mark.numeric
def test_no_key(pair, rng, padding):
    """全被遮住的樣本，權重與 context 都是 0"""
    module, truth = pair
    query, keys = rng.normal((4, Q)), rng.normal((4, 6, K))
    expected = results(*truth(query.double(), keys.double(), padding))
    assert_close(results(*module(query, keys, padding)), expected)


@pytest.mark.gradient
def test_no_key_gradient(pair, rng, padding):
    """有的樣本全被遮住時的梯度"""
    assert_same_module(*pair, rng.normal((4, Q)), rng.normal((4, 6, K)), padding)


@pytest.mark.gradient
@MASKED
def test_gradient(pair, rng, padding, masked):
    """輸入與每個參數的梯度"""
    assert_same_module(*pair, rng.normal((3, Q)), rng.normal((3, 6, K)), *([padding[:3]] if masked else []))


@pytest.mark.gradient
def test_gradcheck(pair, rng, tensor):
    """對 query 與 keys 的數值微分"""
    module = pair[0].double()
    mask = tensor([[1, 1, 0], [0, 1, 1]]).bool()
    assert_gradients(lambda query, keys: module(query, keys, mask), rng.normal((2, Q)), rng.normal((2, 3, K)))


@pytest.mark.numeric
def test_large(saturated, tensor):
    """分數大到 1e6 時的輸出與梯度"""
    # 分數是 −7e6、−1e6、7e6，與 −7e6、−5e6、−1e6：第三步得到全部的權重，其餘的權重小到是 0。
    module = saturated([1e6, 2e6, 4e6])
    query = tensor([[0.3, -0.8], [0.1, 0.5]], requires_grad=True)
    rows = [[-1.0, -2.0, -3.0], [1.0, 2.0, -1.0], [2.0, 1.0, 1.5], [1.0, -2.0, -1.0], [0.5, 1.0, -1.0]]
    keys = tensor([[rows[t] for t in steps] for steps in ([0, 1, 2], [0, 3, 4])], requires_grad=True)
    context, weights = module(query, keys)
    assert_close(results(context, weights), results(keys.detach()[:, 2], tensor([[0.0, 0.0, 1.0]] * 2)))
    (context.sum() + weights[:, 1].sum()).backward()
    assert_finite(query.grad, keys.grad, *(parameter.grad for parameter in module.parameters()), what="梯度")


@pytest.mark.numeric
def test_large_negative_scores(saturated, tensor):
    """分數是很大的負數時，遮住的仍是 0"""
    # 分數是 −7e6、−5e6、7e6、−1e6，第三步遮住：第四步得到全部的權重。
    module = saturated([1e6, 2e6, 4e6])
    keys = tensor([[[-1.0, -2.0, -3.0], [1.0, -2.0, -1.0], [2.0, 1.0, 1.5], [0.5, 1.0, -1.0]]])
    mask = tensor([[True, True, False, True]])
    expected = results(keys[:, 3].clone(), tensor([[0.0, 0.0, 0.0, 1.0]]))
    assert_close(results(*module(tensor([[0.3, -0.8]]), keys, mask)), expected)


@pytest.mark.behaviour
def test_padding(pair, rng, padding):
    """不受自己的 padding 影響"""
    module, _ = pair
    query, keys, mask = rng.normal((3, Q)), rng.normal((3, 6, K)), padding[:3]
    expected = results(*(value.detach() for value in module(query, keys, mask)))
    noisy = torch.where(mask[:, :, None], keys, 10 * rng.normal((3, 6, K)))
    assert_close(results(*module(query, noisy, mask)), expected, what="只改 padding 的 keys，結果")


@pytest.mark.behaviour
def test_other_samples(pair, rng, padding):
    """不受別的樣本影響"""
    module, _ = pair
    query, keys = rng.normal((4, Q)), rng.normal((4, 6, K))
    for mask in (None, padding):
        batch = [value.detach() for value in module(query, keys, mask)]
        for b in range(4):
            alone = module(query[b : b + 1], keys[b : b + 1], None if mask is None else mask[b : b + 1])
            expected = results(*(value[b : b + 1] for value in batch))
            assert_close(results(*alone), expected, what=f"第 {b} 個樣本單獨一個 batch 時的")


@pytest.mark.behaviour
def test_all_real(pair, rng):
    """mask 全為 True 與 None 相同"""
    module, _ = pair
    query, keys = rng.normal((3, Q)), rng.normal((3, 6, K))
    expected = results(*(value.detach() for value in module(query, keys)))
    assert_close(results(*module(query, keys, torch.ones_like(keys[:, :, 0], dtype=torch.bool))), expected)
