"""007 · 線性層的初始化：評分"""

import pytest

from torch_kata.checks import (
    assert_distribution,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_type,
    check,
    fail,
    nn,
    same_random_state,
    torch,
)

STD = pytest.mark.parametrize("std", [0.02, 0.5])


def normal_cdf(std):
    from scipy.special import ndtr

    return lambda values: ndtr(values / std)


def fresh_network(rng):
    """巢狀的模型：各種層都有，參數填滿不為 0 的值。"""

    class Head(nn.Linear):
        """nn.Linear 的子類別。"""

    block = nn.ModuleDict({"proj": nn.Linear(40, 30, bias=False), "norm": nn.LayerNorm(30), "out": nn.Linear(30, 35)})
    model = nn.Sequential(
        nn.Embedding(11, 40),
        nn.Conv2d(2, 3, (1, 2)),
        nn.BatchNorm1d(40),
        nn.ModuleList([nn.Sequential(nn.Linear(40, 25)), block]),
        nn.Bilinear(4, 5, 6),
        Head(35, 45),
    )
    return rng.fill_(model.cpu())


def linears_of(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}


def weights_of(model):
    return {f"{name}.weight": layer.weight.detach().clone() for name, layer in linears_of(model).items()}


@pytest.fixture
def network(rng):
    return fresh_network(rng)


@pytest.mark.shape
def test_make_linear_shape(submission):
    """make_linear 傳回有偏置的 nn.Linear，float32，形狀正確"""
    layer = submission.make_linear(7, 4)
    assert_type(layer, nn.Linear, what="make_linear 的結果")
    assert_shape(layer.weight, (4, 7), "權重")
    assert_dtype(layer.weight, "float32", "權重")
    check(layer.bias is not None, "這一層沒有偏置（bias=False？）", "no bias")
    assert_shape(layer.bias, (4,), "偏置")


@pytest.mark.behaviour
def test_make_linear_is_trainable(submission):
    """權重與偏置都是可訓練的葉子"""
    layer = submission.make_linear(7, 4)
    for name in ("weight", "bias"):
        parameter = dict(layer.named_parameters()).get(name)
        check(parameter is not None, f"{name} 不是這一層的參數（nn.Parameter）", f"no {name}")
        check(parameter.is_leaf and parameter.requires_grad, f"{name} 應為 requires_grad=True 的葉子", f"frozen {name}")


@pytest.mark.numeric
@STD
def test_make_linear_weight(submission, std):
    """make_linear 的權重服從 N(0, std²)"""
    # 30,000 個樣本：同標準差的均勻分布與常態的 CDF 最多差 0.057，是 1e-6 的臨界值 0.0155 的 3.7 倍。
    layer = submission.make_linear(200, 150) if std == 0.02 else submission.make_linear(200, 150, std=std)
    assert_distribution(layer.weight, normal_cdf(std), what="權重")


@pytest.mark.numeric
def test_make_linear_bias(submission):
    """make_linear 的偏置恰為 0"""
    layer = submission.make_linear(7, 40, std=0.5)
    check(layer.bias is not None, "這一層沒有偏置（bias=False？）", "no bias")
    assert_equal(layer.bias.detach(), torch.zeros(40), what="偏置")


@pytest.mark.behaviour
def test_make_linear_generator(submission, rng):
    """make_linear 在同一個種子的 generator 下重現，再抽則不同"""
    seed = rng.seed()
    generator = rng.generator(seed)
    first, second = (submission.make_linear(9, 5, generator=generator).weight.detach() for _ in range(2))
    again = submission.make_linear(9, 5, generator=rng.generator(seed)).weight.detach()
    assert_equal(again, first, what="同一個種子的權重")
    check(not torch.equal(first, second), "同一個 generator 連抽兩次得到同樣的權重：不要重設它的種子", second)


@pytest.mark.behaviour
def test_no_generator(submission, rng):
    """不給 generator 時取自全域的亂數，每次不同"""
    seed = rng.seed()
    torch.manual_seed(seed)
    first, second = (submission.make_linear(9, 5).weight.detach() for _ in range(2))
    check(not torch.equal(first, second), "兩次得到同樣的權重：不要寫死種子", second)
    torch.manual_seed(seed)
    again = submission.make_linear(9, 5).weight.detach()
    check(torch.equal(again, first), "torch.manual_seed 設了同樣的種子，權重卻不同：亂數不是取自全域", "own stream")


@pytest.mark.numeric
@STD
def test_every_linear(submission, network, std):
    """init_linears_ 走到每一個 nn.Linear（巢狀、子類別）"""
    before = weights_of(network)
    submission.init_linears_(network) if std == 0.02 else submission.init_linears_(network, std=std)
    after = weights_of(network)
    missed = [name for name in before if torch.equal(before[name], after[name])]
    if missed:
        fail(f"{'、'.join(missed)} 沒有初始化", torch.cat([weight.flatten() for weight in after.values()]))
    assert_distribution(torch.cat([weight.flatten() for weight in after.values()]), normal_cdf(std), what="權重")


@pytest.mark.numeric
def test_model_is_a_linear(submission, rng):
    """model 自己就是 nn.Linear 也初始化"""
    layer = rng.fill_(nn.Linear(60, 50))
    submission.init_linears_(layer, std=0.1)
    assert_distribution(layer.weight, normal_cdf(0.1), what="權重")
    assert_equal(layer.bias.detach(), torch.zeros(50), what="偏置")


@pytest.mark.numeric
def test_every_bias(submission, network):
    """每個 nn.Linear 的偏置恰為 0，bias=False 的層仍沒有偏置"""
    there = {name: layer.bias is not None for name, layer in linears_of(network).items()}
    submission.init_linears_(network)
    for name, layer in linears_of(network).items():
        now = "有" if layer.bias is not None else "沒有"
        check((layer.bias is not None) == there[name], f"{name} 現在{now}偏置", f"{name} {now}")
        if there[name]:
            assert_equal(layer.bias.detach(), torch.zeros(layer.out_features), what=f"{name} 的偏置")


@pytest.mark.behaviour
def test_other_layers(submission, network):
    """不動其他種類的層"""
    own = [f"{name}." for name in linears_of(network)]

    def others():
        state = network.state_dict()
        return {name: value.clone() for name, value in state.items() if not name.startswith(tuple(own))}

    before = others()
    submission.init_linears_(network)
    for name, value in others().items():
        assert_equal(value, before[name], what=f"{name}（不屬於 nn.Linear）")


@pytest.mark.behaviour
def test_tied_weights(submission, rng):
    """共用的權重只抽一次"""
    first, tied, last = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(5, 7)
    tied.weight = first.weight
    rng.fill_(tied)
    seed = rng.seed()

    # 沒有共用者的模型先跑一次，兩次都從同一個種子開始：各層的值應相同。
    submission.init_linears_(nn.Sequential(first, last), generator=rng.generator(seed))
    alone = [layer.weight.detach().clone() for layer in (first, last)]
    submission.init_linears_(nn.Sequential(first, tied, last), generator=rng.generator(seed))
    check(tied.weight is first.weight, "共用的權重被拆開了", "untied")
    assert_equal(last.weight.detach(), alone[1], what="共用者之後那一層的權重")
    assert_equal(first.weight.detach(), alone[0], what="共用的權重")
    assert_equal(tied.bias.detach(), torch.zeros(5), what="共用權重的層自己的偏置")


@pytest.mark.behaviour
def test_in_place(submission, network):
    """原地修改既有的參數，傳回同一個 model"""
    first, *_, last = linears_of(network).values()
    first.weight.requires_grad_(False)
    last.double().eval()
    modes = [module.training for module in network.modules()]
    before = {name: (p, p.requires_grad, p.dtype) for name, p in network.named_parameters()}
    result = submission.init_linears_(network)
    check(result is network, f"應傳回同一個 model，得到 {type(result).__name__}", f"returns {type(result).__name__}")
    now = dict(network.named_parameters())
    assert_equal(sorted(now), sorted(before), what="參數的名稱")
    for name, (parameter, requires_grad, dtype) in before.items():
        check(now[name] is parameter, f"{name} 換成了另一個物件：optimizer 仍握著舊的", f"replaced {name}")
        assert_equal(parameter.requires_grad, requires_grad, what=f"{name}.requires_grad ")
        assert_equal(parameter.dtype, dtype, what=f"{name}.dtype ")
    changed = [module.training for module in network.modules()] != modes
    check(not changed, "動到了 train／eval 模式：初始化不該改它", "mode")


@pytest.mark.behaviour
def test_init_linears_generator(submission, network, rng):
    """init_linears_ 只用給的 generator：重現、再抽則不同，且不動全域亂數"""
    seed, results = rng.seed(), []
    generator = rng.generator(seed)
    for given in (rng.generator(seed), generator, generator):
        with same_random_state():
            submission.init_linears_(network, generator=given)
        results.append(torch.cat([weight.flatten() for weight in weights_of(network).values()]))
    first, second, third = results
    assert_equal(second, first, what="同一個種子的權重")
    check(not torch.equal(third, second), "同一個 generator 連用兩次得到同樣的權重：它的狀態應隨之前進", third)
