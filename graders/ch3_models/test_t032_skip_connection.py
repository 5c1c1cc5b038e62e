"""032 · 跳躍連接：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_same_module,
    assert_shape,
    assert_type,
    check,
    nn,
    torch,
    unchanged,
)

# 大小都不同的一組；另兩組讓「跳 x」與「加在 fc3 之後」的形狀剛好對得上，只有數值說得出錯。
SIZES = pytest.mark.parametrize("sizes", [(5, 7, 3), (6, 6, 4), (5, 4, 4)], ids=str)


def oracle(n_in, hidden, n_out):
    """題目的式子，拆成兩條路各自寫。"""

    class TwoPaths(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2, self.fc3 = nn.Linear(n_in, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, n_out)

        def forward(self, x):
            h = x @ self.fc1.weight.T + self.fc1.bias
            residual = h.where(h > 0, 0) @ self.fc2.weight.T + self.fc2.bias
            return (h + residual) @ self.fc3.weight.T + self.fc3.bias

    return TwoPaths()


@pytest.fixture
def pair(submission, rng, device):
    """pair(sizes)：作答與權重相同的 oracle（float64）；zeroed 時 fc2 全為 0。"""

    def make(sizes, zeroed=False):
        truth = rng.fill_(oracle(*sizes).to(device))
        if zeroed:
            for parameter in truth.fc2.parameters():
                nn.init.zeros_(parameter)
        module = submission.SkipNet(*sizes).to(device)
        module.load_state_dict(truth.state_dict())
        return module, truth.double()

    return make


@pytest.mark.shape
def test_parts(submission):
    """子模組與 state_dict"""
    module = submission.SkipNet(5, 7, 3)
    for name in ("fc1", "fc2", "fc3"):
        assert_type(getattr(module, name, None), nn.Linear, f"{name} ")
    expected = {name: tuple(value.shape) for name, value in oracle(5, 7, 3).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """輸出的形狀與 dtype"""
    for n_out in (3, 1):
        module = submission.SkipNet(5, 7, n_out).to(device, getattr(torch, dtype))
        for leading in [(), (4,), (1,), (4, 2), (0,)]:
            out = module(rng.normal((*leading, 5), dtype=dtype))
            assert_shape(out, (*leading, n_out), f"output_size = {n_out} 時，輸入 {(*leading, 5)} 的輸出")
            assert_dtype(out, dtype)


@pytest.mark.numeric
@SIZES
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_output(pair, rng, sizes, mode):
    """輸出等於 fc3(fc2(relu(h)) + h)"""
    module, truth = pair(sizes)
    module.train(mode == "train")
    for x in (rng.normal((9, sizes[0])), rng.strided((4, 3, sizes[0]))):
        expected = truth(x.double())
        with unchanged(x, module):
            assert_close(module(x), expected)


@pytest.mark.numeric
def test_repeatable(pair, rng):
    """訓練時每次呼叫都相同"""
    # 五次裡有一次跳過 fc2 的（stochastic depth），一次呼叫多半看不出來：一百次都漏掉的機率是 2e-10。
    module, truth = pair((5, 7, 3))
    module.train()
    x = rng.normal((9, 5))
    expected = truth(x.double())
    for _ in range(100):
        assert_close(module(x), expected)


@pytest.mark.numeric
def test_zeroed_fc2(pair, rng):
    """fc2 全為 0 時等於 fc3(fc1(x))"""
    module, truth = pair((5, 7, 3), zeroed=True)
    x, kept = rng.normal((9, 5)), []
    expected = truth(x.double())
    module.fc1.register_forward_hook(lambda layer, given, h: kept.extend([h, h.detach().clone()]))
    out = module(x)
    assert_shape(out, expected.shape, "輸出")
    error = float((out.detach().double() - expected.detach()).abs().nan_to_num(nan=torch.inf).max())
    in_place = bool(kept) and not torch.equal(kept[0], kept[1])
    reason = "fc1 的輸出 h 被就地改掉了，加回來的已不是它" if in_place else "h 應該原樣通過"
    # 答對了就不問怎麼算的；答錯時，h 有沒有被就地改掉，說得出是哪一種錯。
    check(error <= 1e-4, f"fc2 全為 0 時，輸出與 fc3(fc1(x)) 最多差 {error:.3g}：{reason}", [out, in_place])


@pytest.mark.gradient
@SIZES
def test_gradient(pair, rng, sizes):
    """輸入與每個參數的梯度"""
    # 八倍：h 也有大的值，截在 6 的 ReLU6 就不同了。float64：大的值在 float32 捨入誤差也大。
    module, truth = pair(sizes)
    assert_same_module(module.double(), truth, 8 * rng.normal((9, sizes[0]), dtype="float64"))


@pytest.mark.gradient
def test_zeroed_gradient(pair, rng):
    """fc2 全為 0 時，梯度仍經跳躍連接回到 fc1"""
    assert_same_module(*pair((5, 7, 3), zeroed=True), rng.normal((9, 5)))
