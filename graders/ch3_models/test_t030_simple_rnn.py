"""030 · 簡單的 RNN：評分"""

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_gradients,
    assert_same_module,
    assert_shape,
    assert_type,
    assert_within_budget,
    check,
    forbid,
    nn,
    torch,
    unchanged,
)

# 只管 rnn_forward 的檢查：SimpleRNN 要用 nn.RNN。
by_hand = forbid(
    "nn.RNN", "nn.RNNCell", "torch.rnn_tanh", "torch.rnn_tanh_cell", "aten::rnn_tanh", "aten::rnn_tanh_cell"
)


def builtin(x, h0, *weights):
    """nn.RNN 底下的運算：一層、單向、batch_first。"""
    out, h_n = torch.rnn_tanh(x, h0[None], list(weights), True, 1, 0.0, False, False, True)
    return out, h_n[0]


def arguments(rng, b, t, i, h, dtype="float32"):
    """rnn_forward 的六個引數；x 是不連續的，h0 與兩個 bias 都不是 0。"""
    x, h0, w_ih = rng.strided((b, t, i), dtype=dtype), rng.normal((b, h), dtype=dtype), rng.normal((h, i), dtype=dtype)
    # Frobenius 範數是 1，所以最大奇異值不超過 1：捨入誤差不會隨步數放大，幾步都用預設的容許誤差。
    w_hh = rng.normal((h, h), dtype=dtype)
    return [x, h0, w_ih, w_hh / w_hh.norm(), *(0.5 * rng.normal((h,), dtype=dtype) for _ in range(2))]


def oracle(input_size, hidden_size, output_size):
    """題目所說的模型：fc(最後一步的 h)。"""

    class LastStep(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(input_size, hidden_size, batch_first=True)
            self.fc = nn.Linear(hidden_size, output_size)

        def forward(self, x):
            return self.fc(self.rnn(x)[0][:, -1])

    return LastStep()


@pytest.fixture
def pair(submission, rng, device):
    """作答的 SimpleRNN(3, 5, 2) 與權重相同的 oracle（float64）。"""
    truth = rng.fill_(oracle(3, 5, 2).to(device))
    with torch.no_grad():  # 奇異值不超過 1：60 步的捨入誤差不會越滾越大
        truth.rnn.weight_hh_l0 /= truth.rnn.weight_hh_l0.norm()
    module = submission.SimpleRNN(3, 5, 2).to(device)
    module.load_state_dict(truth.state_dict())
    return module, truth.double()


@by_hand
@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, dtype):
    """rnn_forward 輸出的形狀與 dtype"""
    out, last = submission.rnn_forward(*arguments(rng, 4, 7, 3, 5, dtype))
    assert_shape(out, (4, 7, 5), "out ")
    assert_shape(last, (4, 5), "h_T ")
    assert_dtype(out, dtype, "out ")
    assert_dtype(last, dtype, "h_T ")


@by_hand
@pytest.mark.numeric
@pytest.mark.parametrize("sizes", [(4, 7, 3, 5), (1, 4, 2, 3), (3, 60, 2, 4)], ids=str)
def test_like_builtin(submission, rng, sizes):
    """rnn_forward 與 nn.RNN 相同"""
    given = arguments(rng, *sizes)
    expected = builtin(*(x.double() for x in given))
    with unchanged(*given):
        assert_close(submission.rnn_forward(*given), expected, what="(out, h_T) ")


@by_hand
@pytest.mark.numeric
def test_one_step(submission, rng):
    """只有一步（T = 1）"""
    given = arguments(rng, 4, 1, 3, 5)
    expected = builtin(*(x.double() for x in given))
    assert_close(submission.rnn_forward(*given), expected, what="(out, h_T) ")


@by_hand
@pytest.mark.gradient
def test_gradient(submission, rng):
    """rnn_forward 對六個輸入的梯度"""
    assert_gradients(submission.rnn_forward, *arguments(rng, 2, 3, 2, 3))


@by_hand
@pytest.mark.gradient
def test_long_gradient(submission, rng):
    """T = 60 時的梯度與 nn.RNN 相同"""
    # 每隔幾十步就 detach 一次（truncated BPTT）的，短的序列看不出來。
    truth = nn.Module()
    truth.forward = builtin
    assert_same_module(submission.rnn_forward, truth, *arguments(rng, 3, 60, 2, 4, "float64"))


@pytest.mark.shape
def test_parts(submission):
    """SimpleRNN 的子模組與 state_dict"""
    module = submission.SimpleRNN(3, 5, 2)
    assert_type(module.rnn, nn.RNN, "rnn ")
    assert_type(module.fc, nn.Linear, "fc ")
    check(module.rnn.batch_first, "rnn 應為 batch_first=True：x 是 (B, T, I)", "batch_first=False")
    expected = {name: tuple(value.shape) for name, value in oracle(3, 5, 2).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert_equal(dict(sorted(found.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_simple_rnn_shape(submission, rng, device, dtype):
    """SimpleRNN 輸出的形狀與 dtype"""
    for b, output_size in ((4, 2), (4, 1), (1, 2)):
        module = submission.SimpleRNN(3, 5, output_size).to(device, getattr(torch, dtype))
        out = module(rng.normal((b, 7, 3), dtype=dtype))
        assert_shape(out, (b, output_size), f"B = {b}、output_size = {output_size} 時，輸出")
        assert_dtype(out, dtype)


@pytest.mark.numeric
@pytest.mark.parametrize("b, t", [(4, 7), (7, 4), (1, 6), (5, 1), (3, 60)])
def test_simple_rnn(pair, rng, b, t):
    """SimpleRNN 等於 fc(最後一步的 h)"""
    module, truth = pair
    x = rng.normal((b, t, 3))
    expected = truth(x.double())
    with unchanged(x, module):
        assert_close(module(x), expected)


@pytest.mark.gradient
def test_simple_rnn_gradient(pair, rng):
    """SimpleRNN 的輸入與每個參數的梯度"""
    assert_same_module(*pair, rng.normal((4, 7, 3)))


@pytest.mark.behaviour
def test_no_memory(pair, rng):
    """SimpleRNN 不記得上一個 batch"""
    module, truth = pair
    x = rng.normal((4, 7, 3))
    expected = truth(x.double())
    module(rng.normal((4, 5, 3)))
    assert_close(module(x), expected, what="第二次呼叫的輸出")


@by_hand
@pytest.mark.speed
@pytest.mark.cpu
def test_speed(submission, rng):
    """rnn_forward 與 nn.RNN 相比的速度"""
    # 對照是 nn.RNN 本身（0.8 ms）。先算 x W_ihᵀ 再逐步 0.95 至 1.3；接成一個矩陣 1.7；逐步兩個 F.linear 1.9；逐步照式子
    # 2.0；每步 cat 進輸出 2.8。每步兩個 einsum 4.9，逐樣本迴圈 50，每步從頭算 73。題目訂的是 4 倍。
    # 50 步的迴圈是好答案，所以不數運算的個數。cuDNN 把整個迴圈做在一個 kernel 裡，因此只在 CPU 上比。
    assert_within_budget(
        submission.rnn_forward, builtin, lambda: tuple(arguments(rng, 32, 50, 16, 32)), factor=4, gate=False
    )
