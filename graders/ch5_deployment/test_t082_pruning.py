"""082 · 剪枝：評分

The prunable weights of a model are distinct in magnitude, and differ in size from layer to layer: what is to be pruned
is certain, and another for each other way of choosing it. So are the channels of a convolution. Two checks have ties:
there, any choice among equals will do, but not a threshold, which takes them all.
"""

import copy

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_type, check, fail, nn, raises, torch

AMOUNTS = pytest.mark.parametrize("amount", [0, 1, 1.0], ids=["0", "1", "1.0"])
WRONG_AMOUNTS = pytest.mark.parametrize("amount", [-0.1, 1.5])


def prunable(model):
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


def values(model):
    """Copies of the weights, biases and buffers in force, whatever a pruned module calls its parameters."""
    names = ("weight", "bias", "running_mean", "running_var")
    found = {f"{n}.{name}": getattr(m, name, None) for n, m in model.named_modules() for name in names}
    return {name: value.detach().clone() for name, value in found.items() if isinstance(value, torch.Tensor)}


def weights(model):
    return {name: layer.weight.detach().clone() for name, layer in prunable(model).items()}


@pytest.fixture
def network(rng, device):
    """network(kind)：可剪的權重大小都不同，各層的大小也不同。"""

    def make(kind="image"):
        if kind == "image":  # (B, 3, 6, 5) -> (B, 4)
            features = nn.Sequential(nn.Conv2d(3, 4, (3, 2)), nn.BatchNorm2d(4), nn.Tanh())
            head = nn.Sequential(
                nn.AdaptiveAvgPool2d((1, 2)), nn.Flatten(), nn.Linear(8, 7), nn.Tanh(), nn.Linear(7, 4)
            )
            model = nn.Sequential(features, head)
        else:
            layers = {"embedding": nn.Embedding(5, 6), "sequence": nn.Conv1d(6, 5, 3), "norm": nn.LayerNorm(7)}
            model = nn.ModuleDict({**layers, "volume": nn.Conv3d(2, 3, (1, 2, 3), bias=False), "head": nn.Linear(7, 2)})
        rng.fill_(model)
        layers = list(prunable(model).values())
        sizes = [layer.weight.numel() for layer in layers]
        shifts = [0.5 * i for i in rng.permutation(len(layers)).tolist()]
        keys = torch.cat([rng.uniform((size,)) + shift for size, shift in zip(sizes, shifts, strict=True)])
        magnitudes = (keys.argsort().argsort() + 1) / len(keys)
        numbers = magnitudes * (2 * rng.bernoulli(0.5, (len(keys),)) - 1)
        with torch.no_grad():
            for layer, part in zip(layers, numbers.split(sizes), strict=True):
                layer.weight.copy_(part.reshape(layer.weight.shape))
        return model.to(device)

    return make


@pytest.fixture
def convolution(rng, device):
    """convolution(bias)：六個輸出 channel 的 Conv2d，與依 L2 範數由小到大的 channel。"""

    def make(bias=True):
        kinds = torch.full((6, 18), 0.1)
        kinds[0, :2], kinds[1, :2] = 0.75, 0.8  # the two least by L2
        kinds[2:4] = 0.01
        kinds[2, 3], kinds[3, 4] = 2.0, -1.9  # the least by L1, one of them by sum
        kinds[4] = torch.tensor([0.5, -0.5]).repeat(9)  # the least by |sum| and by the largest element
        kinds[5] = torch.tensor([0.9, 0.8, -0.5]).repeat(6)
        order = rng.permutation(6).tolist()
        conv = nn.Conv2d(3, 6, (2, 3), bias=bias).to(device)
        jitter = rng.uniform((6, 18), 0.99, 1.01) * rng.uniform((), 0.5, 2)
        with torch.no_grad():
            conv.weight[order] = (kinds.to(device) * jitter).reshape(6, 3, 2, 3)
            if bias:
                conv.bias[order] = torch.tensor([3.0, -4.0, 0.2, 0.3, -0.1, 0.4], device=device) * rng.uniform(
                    (6,), 1, 2
                )
        return conv, [order[i] for i in (0, 1, 3, 2, 4, 5)]

    return make


def flat(layers):
    """All the weights in one row."""
    return torch.cat([weight.reshape(-1) for weight in layers.values()])


def pruned(layers, count):
    """The weights with the `count` smallest of them all zero."""
    limit = flat(layers).abs().sort().values[count - 1] if count else -1
    return {name: torch.where(weight.abs() <= limit, 0.0, weight) for name, weight in layers.items()}


def train(model, x, y, masks=None, steps=4):
    """Gradient descent by hand; with `masks`, by layer, on what they leave alone."""
    for _ in range(steps):
        model.zero_grad()
        (model(x) - y).square().mean().backward()  # unlike autograd.grad, this runs every kind of hook
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad and parameter.grad is not None:
                    parameter.sub_(0.2 * parameter.grad)
            for parameter, mask in (masks or {}).items():
                parameter.mul_(mask)
    with torch.no_grad():
        model(x)  # where a hook applies the masks


def judge_trained(found, expected, masks):
    for name, mask in masks.items():
        if revived := int((found[name][~mask] != 0).sum()):
            fail(f"訓練之後，{name} 剪掉的 {int((~mask).sum())} 個值中有 {revived} 個不再是 0", found)
    assert_close(found, expected, rtol=1e-6, atol=1e-9, what="訓練之後的值")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["image", "others"])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.5], ids=["rounds-down", "rounds-up", "half-to-even"])
def test_smallest(submission, rng, network, kind, part):
    """所有層一起比，|w| 最小的 round(amount · n) 個變成 0"""
    model = network(kind)
    before = weights(model)
    n = len(flat(before))
    counts = rng.permutation(n // 3).add(n // 3).tolist()
    if part == 0.5:  # even ones, so that Python's round and half up differ, where amount · n is exact
        counts = [count for count in counts if count % 2 == 0 and (count + part) / n * n == count + part]
    amount = (counts[0] + part) / n
    expected = pruned(before, round(amount * n))
    submission.prune_global(model, amount)
    assert_close(weights(model), expected, what=f"剪掉 {amount:.3f} 之後的權重")


@pytest.mark.numeric
def test_ties(submission, network):
    """許多權重 |w| 相同時，剪掉的個數仍剛好"""
    model = network()
    with torch.no_grad():
        for layer in prunable(model).values():  # to four magnitudes
            layer.weight.copy_(layer.weight.sign() * layer.weight.abs().mul(4).ceil() / 4)
    before = flat(weights(model))
    submission.prune_global(model, 0.4)
    after = flat(weights(model))
    gone, wanted = after == 0, round(0.4 * len(before))
    count = int(gone.sum())
    check(count == wanted, f"{len(before)} 個權重應剪掉 {wanted} 個，剪了 {count} 個", count)
    assert_close(after[~gone], before[~gone], what="留下的權重")
    least, largest = before[~gone].abs().min().item(), before[gone].abs().max().item()
    check(largest <= least, f"剪掉了 |w| = {largest:g} 的權重，卻留下 {least:g} 的", "not the smallest")


@pytest.mark.numeric
@AMOUNTS
def test_extremes(submission, network, amount):
    """amount 為 0 與 1；整數 1 也是全部"""
    model = network()
    before = weights(model)
    submission.prune_global(model, amount)
    expected = pruned(before, len(flat(before)) if amount else 0)
    assert_close(weights(model), expected, what=f"amount={amount!r} 的權重")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["image", "others"])
def test_others(submission, network, kind):
    """bias、norm、embedding 等其餘的值不變"""
    model = network(kind)
    taken = {f"{name}.weight" for name in prunable(model)}
    expected = {name: value for name, value in values(model).items() if name not in taken}
    submission.prune_global(model, 0.7)
    found = {name: value for name, value in values(model).items() if name not in taken}
    assert_close(found, expected, what="可剪的權重以外的值")


@pytest.mark.numeric
@pytest.mark.parametrize("state", ["plain", "pruned", "permanent"])
def test_sparsity(submission, rng, network, state):
    """sparsity 是可剪的權重中 0 的比例"""
    model = network("others")
    with torch.no_grad():
        model["norm"].bias.zero_()
        model["head"].weight[0, : rng.integer(2, 6)] = 0
    if state != "plain":
        submission.prune_global(model, 0.4)
    if state == "permanent":
        submission.make_permanent(model)
    zeros = [int((weight == 0).sum()) for weight in weights(model).values()]
    expected = sum(zeros) / len(flat(weights(model)))
    found = submission.sparsity(model)
    assert_type(found, float, what="sparsity")
    assert_close(found, expected, what="sparsity")


@pytest.mark.gradient
def test_training(submission, rng, network):
    """再訓練幾步，剪掉的仍是 0，其餘照常更新"""
    model = network().double()
    count = round(0.45 * len(flat(weights(model))))
    while not all(weight.any() for weight in pruned(weights(model), count).values()):
        model = network().double()  # a layer that is gone altogether leaves those before it nothing to learn
    oracle = copy.deepcopy(model)
    x, y = rng.normal((9, 3, 6, 5), dtype="float64"), rng.normal((9, 4), dtype="float64")
    submission.prune_global(model, 0.45)
    masks = {f"{name}.weight": weight != 0 for name, weight in weights(model).items()}
    check(
        any((~mask).any() for mask in masks.values()), "prune_global(model, 0.45) 之後沒有任何權重是 0", values(model)
    )
    layers = prunable(oracle)
    by_layer = {layers[name.removesuffix(".weight")].weight: mask for name, mask in masks.items()}
    with torch.no_grad():
        for weight, mask in by_layer.items():
            weight.mul_(mask)
    train(oracle, x, y, by_layer)
    train(model, x, y)
    judge_trained(values(model), values(oracle), masks)


@pytest.mark.behaviour
def test_permanent(submission, rng, network):
    """make_permanent 之後是普通的 state_dict：名稱、值、輸出"""
    model = network()
    fresh, names = copy.deepcopy(model), sorted(model.state_dict())
    x, y = rng.normal((9, 3, 6, 5)), rng.normal((9, 4))
    submission.prune_global(model, 0.45)
    train(model, x, y, steps=2)
    model.eval()
    with torch.no_grad():
        output, expected = model(x), values(model)
    submission.make_permanent(model)
    state = model.state_dict()
    assert_equal(sorted(state), names, what="state_dict 的名稱")
    assert_close(values(model), expected, what="make_permanent 之後的值")
    fresh.load_state_dict(state)
    with torch.no_grad():
        for name, each in (("模型", model), ("載入 state_dict 的模型", fresh.eval())):
            assert_close(each(x), output, what=f"make_permanent 之後，{name}的輸出")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["model", "conv"])
def test_permanent_parameters(submission, network, convolution, kind):
    """make_permanent 之後 weight 與 bias 是可訓練的 Parameter"""
    if kind == "model":
        model = network()
        submission.prune_global(model, 0.45)
    else:
        model, _ = convolution()
        submission.prune_channels(model, 0.3)
    submission.make_permanent(model)
    for name, layer in prunable(model).items():
        for part in ("weight", "bias"):
            value, title = layer._parameters.get(part), f"{name}.{part}".removeprefix(".")
            found = type(getattr(layer, part)).__name__
            check(
                isinstance(value, nn.Parameter), f"{title} 應是 layer 的 nn.Parameter，得到 {found}", f"{part} {found}"
            )
            check(value.requires_grad, f"{title} 的 requires_grad 是 False，不能再訓練", f"{part} frozen")


@pytest.mark.behaviour
def test_permanent_channels(submission, convolution):
    """prune_channels 之後也能 make_permanent"""
    conv, _ = convolution()
    names = sorted(conv.state_dict())
    submission.prune_channels(conv, 0.3)
    expected = values(conv)
    submission.make_permanent(conv)
    assert_equal(sorted(conv.state_dict()), names, what="state_dict 的名稱")
    assert_close(values(conv), expected, what="make_permanent 之後的值")


@pytest.mark.numeric
@pytest.mark.parametrize(
    "amount, bias", [(0.3, True), (0.4, True), (0.75, True), (0.3, False)], ids=["0.3", "0.4", "0.75", "no-bias"]
)
def test_channels(submission, convolution, amount, bias):
    """L2 範數最小的 round(amount · out_channels) 個 channel 與它們的 bias 變成 0"""
    conv, order = convolution(bias)
    expected = values(conv)
    for value in expected.values():
        value[order[: round(6 * amount)]] = 0
    submission.prune_channels(conv, amount)
    assert_close(values(conv), expected, what=f"六個 channel、amount={amount} 時")


@pytest.mark.numeric
def test_channel_ties(submission, convolution):
    """範數相同的 channel 只剪掉一個，個數仍剛好"""
    conv, order = convolution()
    with torch.no_grad():
        conv.weight[order[2]] = -conv.weight[order[1]]
    before = values(conv)
    submission.prune_channels(conv, 1 / 3)
    after = values(conv)
    gone = [channel for channel in range(6) if not after[".weight"][channel].any()]
    wanted = ({order[0], order[1]}, {order[0], order[2]})
    check(set(gone) in wanted, f"六個 channel 應剪掉 {wanted[0]} 或 {wanted[1]}，剪了 {set(gone) or '零個'}", len(gone))
    for value in before.values():
        value[gone] = 0
    assert_close(after, before, what="剪掉兩個 channel 之後")


@pytest.mark.numeric
@AMOUNTS
def test_channel_extremes(submission, convolution, amount):
    """prune_channels 的 amount 為 0 與 1"""
    conv, _ = convolution()
    expected = {name: value * (amount == 0) for name, value in values(conv).items()}
    submission.prune_channels(conv, amount)
    assert_close(values(conv), expected, what=f"amount={amount!r} 時")


@pytest.mark.gradient
def test_channels_in_training(submission, rng, convolution):
    """再訓練幾步，剪掉的 channel 與 bias 仍是 0，其餘照常更新"""
    conv, _ = convolution()
    conv = conv.double()
    x, y = rng.normal((4, 3, 5, 6), dtype="float64"), rng.normal((4, 6, 4, 4), dtype="float64")
    oracle = copy.deepcopy(conv)
    submission.prune_channels(conv, 0.3)
    masks = {name: value != 0 for name, value in values(conv).items()}
    check(not masks[".weight"].all(), "prune_channels(conv, 0.3) 之後沒有任何權重是 0", values(conv))
    by_parameter = {getattr(oracle, name[1:]): mask for name, mask in masks.items()}
    with torch.no_grad():
        for parameter, mask in by_parameter.items():
            parameter.mul_(mask)
    train(oracle, x, y, by_parameter)
    train(conv, x, y)
    judge_trained(values(conv), values(oracle), masks)


@pytest.mark.behaviour
@WRONG_AMOUNTS
def test_wrong_amount(submission, network, amount):
    """prune_global 的 amount 超出範圍：ValueError"""
    with raises(ValueError, amount):
        submission.prune_global(network(), amount)


@pytest.mark.behaviour
@WRONG_AMOUNTS
def test_wrong_channel_amount(submission, convolution, amount):
    """prune_channels 的 amount 超出範圍：ValueError"""
    with raises(ValueError, amount):
        submission.prune_channels(convolution()[0], amount)
