"""084 · 模型的單元測試：評分"""

from types import SimpleNamespace

import pytest

from torch_kata.checks import F, assert_type, check, fail, nn, same_random_state, shared_rng, torch, unchanged

NAMES = [
    "output_shape",
    "gradients",
    "dead_output",
    "finite",
    "batch_independence",
    "deterministic_eval",
    "logits",
    "state_dict",
    "overfits_batch",
    "input_unchanged",
]
SOUND = ["mlp", "cnn", "dropout", "batch_norm", "residual"]
FAULTS = {
    "columns": ("output_shape", "輸出少一個類別"),
    "few-columns": ("output_shape", "輸出少兩個類別"),
    "rows": ("output_shape", "輸出的列數是輸入的兩倍"),
    "unused": ("gradients", "有一層沒有用到"),
    "detached": ("gradients", "中間 detach 了"),
    "dead": ("dead_output", "ReLU 全死，輸出是常數"),
    "nan": ("finite", "輸出是 NaN"),
    "infinite": ("finite", "輸出是 inf"),
    "mixed": ("batch_independence", "eval 模式下仍用 batch 的統計量"),
    "random": ("deterministic_eval", "eval 模式下仍有 dropout"),
    "softmax": ("logits", "輸出先做了 softmax"),
    "plain": ("state_dict", "有一個隨機的張量不是 buffer"),
    "running": ("state_dict", "訓練時更新的平均不是 buffer"),
    "one-feature": ("overfits_batch", "只看得到第一個特徵"),
    "in-place": ("input_unchanged", "forward 就地改動輸入"),
}
BROKEN = ["forward", "not-a-tensor", "make_model"]
CLASSES, FEATURES, HIDDEN = 4, 10, 48
UNRELATED = ("output_shape", "finite", "input_unchanged")  # a model with a fault of another kind passes these


def network(device, parts=None, forward=None):
    """make_model of a two-layer classifier, with other parts and another way through them."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(FEATURES, HIDDEN), nn.Linear(HIDDEN, CLASSES)
            for name, part in (parts() if parts else {}).items():
                setattr(self, name, part)

        def forward(self, x):
            return forward(self, x) if forward else self.head(hidden(self, x))

    return lambda: Network().to(device)


def hidden(net, x):
    return F.relu(net.body(x))


def sound(kind, device):
    """make_model of a model with nothing wrong."""

    def residual(net, x):
        h = hidden(net, x)
        return net.head(h + net.inner(net.norm(h)))

    if kind == "residual":
        return network(device, lambda: {"inner": nn.Linear(HIDDEN, HIDDEN), "norm": nn.LayerNorm(HIDDEN)}, residual)

    def layers():
        if kind == "cnn":
            return nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 5 * 4, CLASSES)
        extra = {"dropout": lambda: [nn.Dropout(0.2)], "batch_norm": lambda: [nn.BatchNorm1d(HIDDEN)], "mlp": list}
        columns = CLASSES + 2 * (kind == "mlp")  # classes that the batch happens not to hold
        return nn.Linear(FEATURES, HIDDEN), *extra[kind](), nn.ReLU(), nn.Linear(HIDDEN, columns)

    return lambda: nn.Sequential(*layers()).to(device)


def faulty(kind, device):
    """make_model of a model with one fault."""

    def dead():
        body = nn.Linear(FEATURES, HIDDEN)
        nn.init.constant_(body.bias, -1e4)
        return {"body": body}

    def running_mean(net, x):
        if net.training:
            net.mean = 0.9 * net.mean + 0.1 * x.detach().mean(0)
        return net.head(hidden(net, x - net.mean))

    parts, forward = {
        "columns": (lambda: {"head": nn.Linear(HIDDEN, CLASSES - 1)}, None),
        "few-columns": (lambda: {"head": nn.Linear(HIDDEN, CLASSES - 2)}, None),
        "rows": (
            lambda: {"body": nn.Linear(FEATURES // 2, HIDDEN)},
            lambda net, x: net.head(hidden(net, x.view(-1, FEATURES // 2))),
        ),
        "unused": (lambda: {"unused": nn.Linear(HIDDEN, HIDDEN)}, None),
        "detached": (None, lambda net, x: net.head(hidden(net, x).detach())),
        "dead": (dead, None),
        "nan": (None, lambda net, x: net.head(hidden(net, x.log()))),
        "infinite": (None, lambda net, x: net.head(hidden(net, x)) / x[:, :1]),
        "mixed": (
            lambda: {"norm": nn.BatchNorm1d(HIDDEN, track_running_stats=False)},
            lambda net, x: net.head(F.relu(net.norm(net.body(x)))),
        ),
        "random": (None, lambda net, x: net.head(F.dropout(hidden(net, x), 0.5))),
        "softmax": (None, lambda net, x: F.softmax(net.head(hidden(net, x)), dim=1)),
        "plain": (
            lambda: {"scale": torch.randn(HIDDEN, device=device)},
            lambda net, x: net.head(hidden(net, x) * net.scale),
        ),
        "running": (lambda: {"mean": torch.zeros(FEATURES, device=device)}, running_mean),
        "one-feature": (lambda: {"body": nn.Linear(1, HIDDEN)}, lambda net, x: net.head(hidden(net, x[:, :1]))),
        "in-place": (None, lambda net, x: net.head(hidden(net, x.sub_(0.5)))),
    }[kind]
    return network(device, parts, forward)


@pytest.fixture(scope="module")
def outcome(submission, request):
    """outcome(kind)：run_model_tests 對這種模型說了什麼，以及它動了什麼；每種模型只跑一次。"""
    rng, known = shared_rng(request), {}
    inputs = {kind: (*batch(rng, kind == "cnn"), rng.seed()) for kind in (*SOUND, *FAULTS, *BROKEN)}

    def run(kind):
        if kind not in known:
            known[kind] = judge(submission, model_of(kind, rng.device), *inputs[kind])
        if known[kind].error:
            raise known[kind].error
        return known[kind]

    return run


def batch(rng, image):
    """An input and its target: feature 0 tells class 0 from the others, no more.

    With that feature alone 6 of 10 are right, and the loss stays above half of what it is at the start.
    """
    target = torch.tensor([0, 1, 1, 1, 1, 1, 2, 2, 3, 3], device=rng.device)[rng.permutation(10)]
    if image:
        return rng.normal((len(target), 2, 5, 4)), target
    example = rng.normal((len(target), FEATURES)) + 1
    example[:, 0] = (target == 0).float()
    example[0, 1] = -1.0  # its logarithm is NaN
    return example, target


def model_of(kind, device):
    if kind in SOUND:
        return sound(kind, device)
    if kind in FAULTS:
        return faulty(kind, device)

    def refuse(*_):
        raise ArithmeticError("模型壞了")

    no_tensor = network(device, None, lambda net, x: {"logits": net.head(hidden(net, x))})
    return {"forward": network(device, None, refuse), "make_model": refuse, "not-a-tensor": no_tensor}[kind]


def judge(submission, make_model, example, target, seed):
    found = SimpleNamespace(names=None, error=None, changes={})
    torch.default_generator.manual_seed(seed)
    watches = {"inputs": unchanged(example, target), "random": same_random_state()}
    for watch in watches.values():
        watch.__enter__()
    try:
        found.names = submission.run_model_tests(make_model, example, target)
    except Exception as error:
        found.error = error
    for name, watch in watches.items():
        try:
            watch.__exit__(None, None, None)
        except AssertionError as error:
            found.changes[name] = error
    return found


def names_of(found):
    """The names found, if they are a list of such names."""
    assert_type(found.names, list, what="結果")
    for name in found.names:
        if name not in NAMES:
            fail(f"結果裡的 {name!r} 不是十個名稱之一", f"unknown {name!r}")
    return sorted(found.names)


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", SOUND)
def test_sound(outcome, kind):
    """正常的模型：沒有一項失敗"""
    found = names_of(outcome(kind))
    check(not found, f"模型沒有毛病，卻說 {'、'.join(found)} 沒有通過", " ".join(found))


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", FAULTS)
def test_faulty(outcome, kind):
    """有毛病的模型：該有的名稱在結果裡"""
    name, words = FAULTS[kind]
    found = names_of(outcome(kind))
    told = f"只說了 {'、'.join(found)}" if found else "結果卻是空的"
    check(name in found, f"{words}：應有 {name}，{told}", " ".join(found) or "none")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["unused", "softmax", "running"])
def test_unrelated(outcome, kind):
    """不相干的項目不在結果裡"""
    found = names_of(outcome(kind))
    wrong = [name for name in found if name in UNRELATED]
    check(not wrong, f"{FAULTS[kind][1]}：{'、'.join(wrong)} 沒有問題，不該在結果裡", " ".join(found))


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", BROKEN)
def test_never_raises(outcome, kind):
    """模型或 make_model 拋出例外：不往外傳，結果不是空的"""
    check(names_of(outcome(kind)), "一個不能用的模型，結果卻是空的", "none")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["dropout", "in-place", "rows"])
def test_inputs_unchanged(outcome, kind):
    """example 與 target 不變"""
    if change := outcome(kind).changes.get("inputs"):
        raise change


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["dropout", "random", "columns"])
def test_random_state(outcome, kind):
    """torch 的全域亂數狀態不變"""
    if change := outcome(kind).changes.get("random"):
        raise change
