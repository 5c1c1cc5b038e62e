"""037 · 遷移學習：評分"""

import copy
import pickle

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_equal,
    assert_gradient_close,
    assert_shape,
    assert_type,
    check,
    fixture,
    nn,
    shared_rng,
    torch,
)

ARCHITECTURES = pytest.mark.parametrize("architecture, features", [("resnet18", 512), ("resnet50", 2048)])


def seeded(seed, build):
    """build(), with random weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change the streams of CUDA too
        return build()


@pytest.fixture(scope="module")
def resnet(request):
    """resnet(名稱)：torchvision 的模型，每次一份新的複本（初始化比複製慢得多）。"""
    built, seed = {}, shared_rng(request).seed()

    def make(architecture):
        import torchvision

        if architecture not in built:
            built[architecture] = seeded(seed, getattr(torchvision.models, architecture))
        return copy.deepcopy(built[architecture])

    return make


def others(state):
    """What is not fc's; batch norm's counters are left out, since a frozen one need not keep them."""
    return {k: v for k, v in state.items() if not k.startswith("fc.") and not k.endswith("num_batches_tracked")}


@pytest.fixture
def backbone(rng):
    """四個區塊的 torchvision ResNet；batch norm 的權重與統計量都不是初值，像訓練過的一樣。"""
    from torchvision.models.resnet import BasicBlock, ResNet

    module = seeded(rng.seed(), lambda: ResNet(BasicBlock, [1, 1, 1, 1], num_classes=7))
    ranges = {"running_mean": (-0.3, 0.3), "running_var": (0.5, 2.0), "weight": (0.5, 1.5), "bias": (-0.2, 0.2)}
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for name, (low, high) in ranges.items():
                getattr(layer, name).data.copy_(rng.uniform(layer.bias.shape, low, high))
            layer.num_batches_tracked += 100
    return module


@pytest.fixture
def pair(submission, backbone, device):
    """pair()：作答的模型（float64），與算出它該有的特徵的函數：推論模式的 backbone，沒有 fc。"""

    def make():
        truth = copy.deepcopy(backbone).to(device, torch.float64).eval()
        truth.fc = nn.Identity()
        return submission.build_transfer_model(backbone, 5).to(device, torch.float64), torch.no_grad()(truth.forward)

    return make


@pytest.mark.shape
@ARCHITECTURES
def test_shape(submission, resnet, rng, device, architecture, features):
    """fc、state_dict 的鍵、logits 的形狀"""
    backbone = resnet(architecture)
    names = sorted(others(backbone.state_dict()))
    model = submission.build_transfer_model(backbone, 5)
    assert_type(model.fc, nn.Linear, "fc ")
    found = {name: tuple(value.shape) for name, value in model.fc.state_dict().items()}
    assert_equal(found, {"weight": (5, features), "bias": (5,)}, what=f"{architecture} 的 fc ")
    assert_equal(sorted(others(model.state_dict())), names, what="fc 以外的 state_dict 的鍵")
    assert_shape(model.to(device)(rng.normal((2, 3, 48, 33))), (2, 5), what="logits ")


@pytest.mark.behaviour
@ARCHITECTURES
def test_only_fc(submission, resnet, architecture, features):
    """只有 fc 需要梯度"""
    model = submission.build_transfer_model(resnet(architecture), 5)
    learning = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert_equal(sorted(learning), ["fc.bias", "fc.weight"], what="需要梯度的參數")
    assert_equal(sum(p.numel() for p in submission.trainable_parameters(model)), 5 * features + 5, what="參數的個數")


@pytest.mark.behaviour
def test_trainable_parameters(submission):
    """trainable_parameters 正是需要梯度的參數"""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    model[0].weight.requires_grad_(False)
    model[1].bias.requires_grad_(False)
    expected = ["0.bias", "1.weight", "2.weight", "2.bias"]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found = submission.trainable_parameters(model)
    assert_type(found, list, "回傳值")
    assert_equal([names.get(id(parameter), type(parameter).__name__) for parameter in found], expected, what="回傳值")


@pytest.mark.numeric
def test_weights(submission, backbone):
    """其他的權重與統計量不變，fc 是新的"""
    before = copy.deepcopy(backbone.state_dict())
    model = submission.build_transfer_model(backbone, 7)
    state, expected = model.state_dict(), others(before)
    missing = [name for name in expected if name not in state]
    check(not missing, f"state_dict 少了 {len(missing)} 項，例如 {missing[:1]}；有 {list(state)[:3]} 等", missing)
    assert_close({name: state[name] for name in expected}, expected, rtol=0, atol=0, what="state_dict ")
    old = before["fc.weight"]
    assert_shape(model.fc.weight, old.shape, what="fc.weight ")
    check(not torch.equal(model.fc.weight, old), "fc 還是原來的那一層：類別數恰好相同時也要換新的", model.fc.weight)


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_output(pair, rng, mode):
    """輸出等於推論模式的 backbone 接上新的 fc"""
    model, features = pair()
    weight, bias = model.fc.weight.detach().clone(), model.fc.bias.detach().clone()
    for n in (3, 1):
        x = rng.normal((n, 3, 32, 45), dtype="float64")
        expected = features(x) @ weight.T + bias
        model.train(mode == "train")
        assert_close(model(x), expected, what=f"{mode} 模式，{n} 張圖的輸出")


@pytest.mark.gradient
def test_gradient(pair, rng):
    """fc 的梯度；其他參數沒有梯度"""
    model, features = pair()
    x, cotangent = rng.normal((3, 3, 32, 45), dtype="float64"), rng.normal((3, 5), dtype="float64")
    inputs = features(x)
    model.train()
    model(x).backward(cotangent)
    assert_gradient_close(model.fc.weight.grad, cotangent.T @ inputs, what="fc.weight 的梯度")
    assert_gradient_close(model.fc.bias.grad, cotangent.sum(0), what="fc.bias 的梯度")
    touched = [name for name, p in model.named_parameters() if p.grad is not None and not name.startswith("fc.")]
    assert_equal(touched, [], what="fc 以外有梯度的參數")


def sgd(model, parameters, batches, lr):
    """SGD by its formula: torch.optim would import torch's compiler first, which takes longer than the training.

    Returns the losses before each step.
    """
    check(parameters, "trainable_parameters 是空的：新的 fc 也被凍結了", "empty")
    losses = []
    for x, labels in batches:
        model.zero_grad()
        loss = F.cross_entropy(model(x), labels)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for p in parameters:
                p -= lr * p.grad
    return losses


@pytest.mark.behaviour
def test_ten_steps(submission, pair, rng):
    """train() 之後訓練十步：只有 fc 變了"""
    model, features = pair()
    batches = [(rng.normal((3, 3, 32, 33), dtype="float64"), rng.integers(0, 5, (3,))) for _ in range(10)]
    weight, bias = model.fc.weight.detach().clone(), model.fc.bias.detach().clone()
    for inputs, (_, labels) in zip(features(torch.cat([x for x, _ in batches])).split(3), batches, strict=True):
        error = ((inputs @ weight.T + bias).softmax(1) - F.one_hot(labels, 5)) / 3
        weight, bias = weight - 0.1 * error.T @ inputs, bias - 0.1 * error.sum(0)
    expected = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("fc.")}
    model.eval()
    model.train()
    sgd(model, submission.trainable_parameters(model), batches, lr=0.1)
    found = {k: v for k, v in model.state_dict().items() if not k.startswith("fc.")}
    assert_close(found, expected, rtol=0, atol=0, what="訓練十步之後，state_dict ")
    assert_close(dict(model.fc.state_dict()), {"weight": weight, "bias": bias}, what="訓練十步之後，fc ")


@pytest.mark.behaviour
def test_returns_itself(submission, backbone):
    """train() 與 eval() 回傳模型自己"""
    model = submission.build_transfer_model(backbone, 5)
    for call, result in [("train()", model.train()), ("train(False)", model.train(False)), ("eval()", model.eval())]:
        check(result is model, f"model.{call} 應回傳模型自己，得到 {type(result).__name__}", type(result).__name__)


@pytest.fixture
def photos(device):
    """8 張真實的圖，四類各兩張，放大到 64×64。"""
    images, labels = [], []
    for number in range(1, 6):
        with fixture(f"cifar-10-batches-py/data_batch_{number}").open("rb") as file:
            content = pickle.load(file, encoding="bytes")
        images.append(torch.tensor(content[b"data"]).reshape(-1, 3, 32, 32))
        labels.append(torch.tensor(content[b"labels"]))
    images, labels = torch.cat(images), torch.cat(labels)
    chosen = torch.cat([(labels == label).nonzero()[:2, 0] for label in range(4)])
    x = F.interpolate(images[chosen] / 255, size=(64, 64), mode="bilinear")
    return ((x - 0.45) / 0.225).to(device), labels[chosen].to(device)


@pytest.mark.behaviour
def test_learns(submission, resnet, photos, device):
    """resnet18 在真實的圖上，10 步後損失下降"""
    # fc 用預設與全 0 的初始化共 30 個種子：損失剩下的比例最大 0.52，對數平均 −0.76 與 −0.71，標準差 0.052 與 0.038；
    # 0.85 在十一個標準差之外。
    x, labels = photos
    backbone = resnet("resnet18").to(device)
    norms = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
    with torch.no_grad():
        backbone(x)  # now batch norm holds the statistics of these photographs, as after a training
    for layer in norms:
        layer.momentum = 0.1
    model = submission.build_transfer_model(backbone, 4).to(device).train()
    before = sgd(model, submission.trainable_parameters(model), [(x, labels)] * 10, lr=1e-2)[0]
    with torch.no_grad():
        after = float(F.cross_entropy(model.eval()(x), labels))
    check(after < 0.85 * before, f"訓練 10 步後，損失由 {before:.3f} 變成 {after:.3f}，下降不到 15%", [before, after])
