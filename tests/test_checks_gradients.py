"""Gradients: the wrong ones that must be found, the right ones that must pass, and what a failure says."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torch_kata.checks import (
    Rng,
    assert_gradient_close,
    assert_gradients,
    assert_parameter_gradients,
    assert_same_module,
    gradients,
)
from torch_kata.checks.record import CheckFailed


@pytest.fixture
def rng():
    return Rng([11], "cpu")


def refusal(function, *arguments, **keywords):
    """The message of the failure that a call must end with."""
    with pytest.raises(CheckFailed) as caught:
        function(*arguments, **keywords)
    return str(caught.value)


def says(message, *parts):
    """Whether all parts stand in the message, which is one line."""
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, (part, message)


def wrong(message):
    """(wanted, got) of a message on a gradient."""
    wanted, _, got = message.partition("應為 ")[2].partition("，得到 ")
    return float(wanted), float(got.split("（")[0])


# ── assert_gradients ──


class Cube(torch.autograd.Function):
    """x³ with a derivative of its own."""

    derivative = staticmethod(lambda x: 3 * x * x)

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @classmethod
    def with_derivative(cls, function):
        return type("Cube", (cls,), {"backward": staticmethod(lambda ctx, g: g * function(ctx.saved_tensors[0]))})


def one_element_wrong(x):
    derivative = 3 * x * x
    derivative[1, 2] += 0.05
    return derivative


def test_right_gradients_pass(rng):
    x = rng.normal((2, 3))
    assert_gradients(torch.tanh, x)
    assert_gradients(lambda x: x.sum(), x.double())
    assert_gradients(torch.sin, rng.normal(()))
    assert_gradients(torch.sin, rng.strided((3, 4)))
    assert_gradients(torch.sin, rng.normal((1,)).expand(4))
    assert_gradients(Cube.with_derivative(Cube.derivative).apply, x)


def test_several_inputs_and_others_beside(rng):
    rows, weight, picks = rng.normal((4, 3)), rng.normal((2, 3)), rng.integers(0, 4, (5,))
    assert_gradients(lambda i, x, w, name: F.linear(x[i], w), picks, rows, weight, "name")
    assert_gradients(F.cross_entropy, rows, rng.integers(0, 3, (4,)))
    assert_gradients(lambda x, mask: x.masked_fill(mask, 0), rows, rows > 0)


def test_several_outputs(rng):
    x = rng.normal((2, 5))
    assert_gradients(lambda x: x.topk(2), x)  # values, and indices that have no gradient
    assert_gradients(lambda x: (x.exp(), None, [x.sum()], {"a": x * x}), x)
    assert_gradients(lambda x: (x.exp(), x.detach()), x)


def test_the_answers_inputs_are_copies(rng):
    x = rng.normal((3,), dtype="float64")
    before = x.clone()

    def spoils(y):
        y.data.mul_(2)
        return y.exp()

    with pytest.raises(CheckFailed):
        assert_gradients(spoils, x)
    assert torch.equal(x, before) and not x.requires_grad


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x.detach(),  # a factor without its graph
        lambda x: Cube.with_derivative(lambda x: -3 * x * x).apply(x),  # sign
        lambda x: Cube.with_derivative(lambda x: 2.97 * x * x).apply(x),  # one percent
        lambda x: Cube.with_derivative(one_element_wrong).apply(x),
        lambda x: Cube.with_derivative(lambda x: 3 * x * x / 0).apply(x),
        lambda x: x.exp() + (x.exp() / x.exp().sum()).detach(),  # a term
        lambda x: torch.where(x > 9, (x - 99).sqrt(), x),  # the other branch's NaN
    ],
    ids=["detached", "sign", "percent", "element", "infinite", "term", "nan"],
)
def test_wrong_gradients_are_found(rng, function):
    says(refusal(assert_gradients, function, rng.normal((2, 3)) + 2), "梯度與數值微分不符", "索引 (", "應為", "得到")


def test_the_worst_element_is_named(rng):
    x = rng.normal((2, 3)) + 2
    message = refusal(assert_gradients, Cube.with_derivative(one_element_wrong).apply, x)
    says(message, "索引 (1, 2) 處")
    assert "個輸入的" not in message
    message = refusal(assert_gradients, Cube.with_derivative(lambda x: -3 * x * x).apply, rng.normal(()) + 2)
    wanted, got = wrong(message)
    assert got == pytest.approx(-wanted, rel=1e-4) and "索引" not in message


def test_the_wrong_input_is_named(rng):
    picks, x, w = rng.integers(0, 3, (4,)), rng.normal((3, 2)), rng.normal((2, 2))
    message = refusal(assert_gradients, lambda i, x, w: x[i] @ w.detach(), picks, x, w)
    says(message, "第 3 個輸入的梯度")
    assert wrong(message)[1] == 0
    says(refusal(assert_gradients, lambda i, x, w: x.detach()[i] @ w, picks, x, w), "第 2 個輸入的梯度")
    says(refusal(assert_gradients, lambda i, x: x.detach()[i] * x[i], picks, x), "第 2 個輸入的梯度")


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.detach() * 2,
        lambda x: torch.tensor(x.tolist()),
        lambda x: torch.no_grad()(torch.exp)(x),
        lambda x: x.argmax(),
        lambda x: None,
    ],
    ids=["detach", "item", "no_grad", "integer", "none"],
)
def test_no_graph(rng, function):
    says(refusal(assert_gradients, function, rng.normal((2, 3))), "梯度斷了")


def test_other_failures(rng):
    x = rng.normal((3,)) + 5
    says(refusal(assert_gradients, lambda x: (x - 99).log(), x), "輸出含有 nan")
    says(refusal(assert_gradients, lambda x: [[1.0]], x), "torch.Tensor，得到 float")

    class Restless(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * (1 + 1e-6 * torch.rand_like(g))

    says(refusal(assert_gradients, Restless.apply, x), "兩次反向傳播的梯度不同")


# ── assert_same_module ──


class Affine(nn.Module):
    """A layer norm with a linear layer, written by hand; `change` makes it wrong."""

    def __init__(self, oracle, change=""):
        super().__init__()
        self.scale = nn.Parameter(oracle[0].weight.detach().clone())
        self.shift = nn.Parameter(oracle[0].bias.detach().clone())
        self.weight = nn.Parameter(oracle[1].weight.detach().clone(), requires_grad=change != "frozen")
        self.bias = nn.Parameter(oracle[1].bias.detach().clone())
        if change == "buffer":
            del self.bias
            self.register_buffer("bias", oracle[1].bias.detach().clone())
        self.change = change

    def forward(self, x):
        mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
        if self.change == "input":
            mean = mean.detach()
        weight, bias, scale = self.weight, self.bias, self.scale
        if self.change == "weight":
            weight = weight.detach() + 1.01 * (weight - weight.detach())
        if self.change == "none":
            bias = bias.detach()
        if self.change == "cut":
            return F.linear((x - mean) / (var + 1e-5).sqrt() * scale + self.shift, weight, bias).detach()
        if self.change == "values":
            bias = bias + 1e-3
        if self.change == "nan":
            scale = torch.where(x > 99, (x - 99).sqrt(), scale)
        return F.linear((x - mean) / (var + 1e-5).sqrt() * scale + self.shift, weight, bias)


RENAME = {"0.weight": "scale", "0.bias": "shift", "1.weight": "weight", "1.bias": "bias"}


@pytest.fixture
def oracle(rng):
    return rng.fill_(nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 4)))


def test_right_module_in_another_style(rng, oracle):
    module = Affine(oracle)
    assert_same_module(module, oracle, rng.normal((5, 6)), rename=RENAME)
    assert next(oracle.parameters()).dtype == torch.float64
    assert next(module.parameters()).dtype == torch.float32 and module.scale.grad is None
    assert_same_module(module.double(), oracle, rng.normal((5, 6), dtype="float64"), rename=RENAME)


@pytest.mark.parametrize(
    "change, parts",
    [
        ("weight", ["weight 的梯度不符"]),
        ("input", ["輸入的梯度不符"]),
        ("none", ["bias 的梯度是 None"]),
        ("frozen", ["weight 的 requires_grad 是 False"]),
        ("buffer", ["bias 不是模組的參數", "['scale', 'shift', 'weight']"]),
        ("cut", ["梯度斷了"]),
        ("values", ["輸出不符", "rtol=1.3e-06"]),
        ("nan", ["輸入的梯度不符", "得到 nan"]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wrong_modules(rng, oracle, change, parts, dtype):
    module = Affine(oracle, change).to(getattr(torch, dtype))
    parts = [part for part in parts if dtype == "float32" or not part.startswith("rtol")]
    says(refusal(assert_same_module, module, oracle, rng.normal((5, 6), dtype=dtype), rename=RENAME), *parts)


def test_parameter_of_another_name(rng, oracle):
    message = refusal(assert_same_module, Affine(oracle), oracle, rng.normal((5, 6)))
    says(message, "0.weight 不是模組的參數", "'scale'")
    says(refusal(assert_same_module, lambda x: Affine(oracle)(x), oracle, rng.normal((5, 6))), "0.weight", "[]")


def test_weights_are_loaded_into_both(rng, oracle):
    module, weights = Affine(oracle), {name: rng.normal(p.shape) for name, p in oracle.named_parameters()}
    assert_same_module(module, oracle, rng.normal((5, 6)), weights=weights, rename=RENAME)
    assert torch.equal(module.scale, weights["0.weight"]) and torch.equal(oracle[0].weight.float(), weights["0.weight"])


def test_integer_inputs_and_the_position_of_the_wrong_one(rng):
    oracle = nn.Bilinear(3, 4, 2)

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Bilinear(3, 4, 2)
            self.layer.load_state_dict(oracle.state_dict())

        def forward(self, picks, a, b):
            return self.layer(a[picks], b.detach() + (b - b.detach()) / 2)

    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = oracle

        def forward(self, picks, a, b):
            return self.layer(a[picks], b)

    inputs = rng.integers(0, 4, (5,)), rng.normal((4, 3)), rng.normal((5, 4))
    says(refusal(assert_same_module, Module(), Oracle(), *inputs), "第 3 個輸入的梯度不符")
    assert_same_module(nn.Embedding.from_pretrained(torch.ones(3, 2), freeze=False), embedding(), inputs[0] % 3)


def embedding():
    return nn.Embedding.from_pretrained(torch.ones(3, 2), freeze=False)


def test_nested_outputs(rng):
    oracle, module = nn.LSTM(3, 4, num_layers=2), nn.LSTM(3, 4, num_layers=2)
    module.load_state_dict(oracle.state_dict())
    x = rng.normal((5, 2, 3))
    assert_same_module(module, oracle, x)

    class Swapped(nn.LSTM):
        def forward(self, x):
            output, (h, c) = super().forward(x)
            return output, (c, h)

    swapped = Swapped(3, 4, num_layers=2)
    swapped.load_state_dict(oracle.state_dict())
    says(refusal(assert_same_module, swapped, oracle, x), "第 2 個輸出不符")

    class First(Swapped):
        def forward(self, x):
            return super().forward(x)[0]

    says(refusal(assert_same_module, First(3, 4, num_layers=2), oracle, x), "輸出應有 3 個張量，得到 1 個")


def test_integer_outputs_are_compared(rng):
    class Top(nn.Linear):
        def forward(self, x):
            values, indices = super().forward(x).topk(2)
            return values, indices + self.shift

    oracle, module = Top(3, 5), Top(3, 5)
    module.load_state_dict(oracle.state_dict())
    oracle.shift, module.shift = 0, 0
    assert_same_module(module, oracle, rng.normal((4, 3)))
    module.shift = 1
    says(refusal(assert_same_module, module, oracle, rng.normal((4, 3))), "第 2 個輸出不符")


def test_state_of_the_oracle_moves_on_once(rng):
    """Twice run, in float32 and in float64: its running statistics are those of one run."""
    module, oracle, once = (nn.BatchNorm1d(3, momentum=0.3) for _ in range(3))
    x = 3 * rng.normal((7, 3)) + 1
    assert_same_module(module, oracle, x)
    once.double()(x.double())
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(oracle, name), getattr(once, name))
        torch.testing.assert_close(getattr(module, name).double(), getattr(once, name).double(), atol=1e-5, rtol=1e-5)


def test_float32_may_lose_what_the_oracle_loses(rng, monkeypatch):
    """A mean far above the deviation costs float32 more than 1e-4 of the gradient."""
    x = 1e-2 * rng.normal((64, 3)) + 1e2
    assert_same_module(nn.BatchNorm1d(3), nn.BatchNorm1d(3), x)
    with monkeypatch.context() as patch:
        patch.setattr(gradients, "_loss", lambda narrow, truth: 0.0)
        refusal(assert_same_module, nn.BatchNorm1d(3), nn.BatchNorm1d(3), x)

    class Sloppy(nn.BatchNorm1d):
        def forward(self, x):
            var = (x * x).mean(0) - x.mean(0) ** 2  # cancellation: far worse than what the oracle loses
            return (x - x.mean(0)) / (var.clamp_min(0) + self.eps).sqrt() * self.weight + self.bias

    says(refusal(assert_same_module, Sloppy(3), nn.BatchNorm1d(3), x), "不符")


def test_convolutions_pass(rng):
    """Their float32 gradients differ from the truth by more than assert_close's default."""
    for shape in [(2, 3, 17, 23), (4, 3, 64, 48)]:
        oracle, module = nn.Conv2d(3, 8, (3, 5), bias=True), nn.Conv2d(3, 8, (3, 5), bias=True)
        module.load_state_dict(oracle.state_dict())

        class Unfolded(nn.Conv2d):
            def forward(self, x):
                columns = F.unfold(x, self.kernel_size)
                out = self.weight.flatten(1) @ columns + self.bias[:, None]
                return out.unflatten(2, (x.shape[2] - 2, x.shape[3] - 4))

        other = Unfolded(3, 8, (3, 5))
        other.load_state_dict(oracle.state_dict())
        assert_same_module(module, oracle, rng.normal(shape))
        assert_same_module(other, oracle, rng.normal(shape))


def test_bfloat16_module(rng, oracle):
    oracle.bfloat16()
    module = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 4)).bfloat16()
    module.load_state_dict(oracle.state_dict())
    x = rng.normal((5, 6), dtype="bfloat16")
    assert_same_module(module, oracle, x, rtol=3e-2, atol=5e-2)


def test_evaluation_mode_and_dropout(rng, oracle):
    module = nn.Sequential(Affine(oracle), nn.Dropout(0.5)).eval()
    assert_same_module(module, oracle, rng.normal((5, 6)), rename={k: f"0.{v}" for k, v in RENAME.items()})


# ── assert_parameter_gradients ──


class Classifier(nn.Module):
    """An encoder layer (with kinks, and a key bias whose gradient is 0), and a GRU, in some wrong ways."""

    def __init__(self, wrong=""):
        super().__init__()
        self.wrong = wrong
        self.embedding = nn.Embedding(5, 8)
        self.layer = nn.TransformerEncoderLayer(8, 2, 32, batch_first=True)
        self.rnn = nn.GRU(8, 6, batch_first=True)
        self.head = nn.Linear(6, 3)
        self.register_parameter("frozen", nn.Parameter(torch.ones(3), requires_grad=False))
        if wrong == "unused":
            self.unused = nn.Linear(2, 2)

    def forward(self, tokens):
        x = self.embedding(tokens)
        x = self.layer(x.detach() + 0 * x if self.wrong == "detached" else x)
        out = self.rnn(x)[0][:, -1]
        return self.head(out) * self.frozen, [out]


def test_parameter_gradients(rng):
    tokens = rng.integers(0, 5, (4, 3))
    module = Classifier().eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert_parameter_gradients(module, tokens)
    assert not module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(p.grad is None and p.dtype == torch.float32 for p in module.parameters())
    assert_parameter_gradients(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), rng.normal((2, 3)))


def test_parameter_gradients_next_to_a_bend(rng):
    x, module = rng.normal((2, 3)), nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with torch.no_grad():
        module[0].bias -= module[0](x)[0]  # the ReLU's input is 0 up to rounding, whatever the direction
    assert_parameter_gradients(module, x)


def test_wrong_parameter_gradients_are_found(rng):
    tokens = rng.integers(0, 5, (4, 3))
    says(refusal(assert_parameter_gradients, Classifier("unused").eval(), tokens), "unused.weight", "None")
    says(refusal(assert_parameter_gradients, Classifier("detached").eval(), tokens), "embedding.weight", "數值微分")
    says(refusal(assert_parameter_gradients, nn.Sequential(Classifier(), Detach()).eval(), tokens), "計算圖")
    half = nn.Sequential(nn.Linear(3, 4), HalfGradient())
    wanted, got = wrong(refusal(assert_parameter_gradients, half, rng.normal((2, 3))))
    assert math.isclose(got, wanted / 2, rel_tol=1e-4)
    with pytest.raises(CheckFailed, match="nan"):
        assert_parameter_gradients(nn.Sequential(nn.Linear(3, 4), RootOfZero()), rng.normal((2, 3)))


class Detach(nn.Module):
    def forward(self, outputs):
        return outputs[0].detach()


class HalfGradient(nn.Module):
    def forward(self, x):
        return x / 2 + x.detach() / 2


class RootOfZero(nn.Module):
    def forward(self, x):
        return (x - x).sqrt()


# ── assert_gradient_close ──


def test_gradient_close():
    truth = torch.tensor([1.0, -2.0, 0.0], dtype=torch.float64)
    assert_gradient_close(truth.float() + 5e-5, truth)
    says(refusal(assert_gradient_close, truth.float() + 5e-4, truth, what="w 的梯度"), "w 的梯度不符")
    assert_gradient_close(truth.float() + 5e-4, truth, loss=1e-4)
    says(refusal(assert_gradient_close, truth.float() + 5e-4, truth, loss=1e-5), "梯度不符")
    assert_gradient_close(truth + 5e-8, truth)
    says(refusal(assert_gradient_close, truth + 5e-6, truth), "梯度不符")
    assert_gradient_close(truth.bfloat16() + 0.02, truth)
    says(refusal(assert_gradient_close, truth.float() * math.nan, truth), "得到 nan")
    says(refusal(assert_gradient_close, truth[:2].float(), truth), "形狀應為 (3,)")
    says(refusal(assert_gradient_close, truth.tolist(), truth), "torch.Tensor，得到 list")


def test_gradient_that_is_nothing():
    truth = torch.tensor([1.0, 2.0], dtype=torch.float64)
    assert_gradient_close(None, None)
    assert_gradient_close(None, torch.zeros(2))
    assert_gradient_close(torch.zeros(2), None)
    assert_gradient_close(torch.full((2,), 1e-8), torch.zeros(2, dtype=torch.float64))
    says(refusal(assert_gradient_close, None, truth), "梯度是 None")
    says(refusal(assert_gradient_close, torch.ones(2), None), "應為 0，得到 1")
