"""027 · CIFAR-10 的 CNN：評分"""

import math
import pickle

import pytest

from torch_kata.checks import (
    Adam,
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_same_module,
    assert_shape,
    assert_within_budget,
    check,
    fixture,
    nn,
    torch,
    unchanged,
)


def shapes(num_classes):
    return {
        "conv1.weight": (32, 3, 3, 3),
        "conv1.bias": (32,),
        "conv2.weight": (64, 32, 3, 3),
        "conv2.bias": (64,),
        "fc1.weight": (128, 4096),
        "fc1.bias": (128,),
        "fc2.weight": (num_classes, 128),
        "fc2.bias": (num_classes,),
    }


def random_weights(rng, num_classes=10):
    """Weights that keep the size of the numbers from layer to layer."""
    return {
        name: rng.normal(shape) * (math.sqrt(2 / math.prod(shape[1:])) if len(shape) > 1 else 0.3)
        for name, shape in shapes(num_classes).items()
    }


def pool(x):
    """2×2 max pooling, by slices."""
    rows = torch.maximum(x[:, :, ::2], x[:, :, 1::2])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


@pytest.fixture
def pair(submission, rng, device):
    """作答，與權重相同的另一個寫法（float64 時用來對照）。"""
    oracle = nn.Module()
    oracle.conv1, oracle.conv2 = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
    oracle.fc1, oracle.fc2 = nn.Linear(4096, 128), nn.Linear(128, 10)

    def forward(x):
        for conv in (oracle.conv1, oracle.conv2):
            x = pool(conv(x).clamp(min=0))
        return oracle.fc2(oracle.fc1(x.reshape(len(x), 4096)).clamp(min=0))

    oracle.forward = forward
    model = submission.CifarCNN().to(device)
    weights = random_weights(rng)
    model.load_state_dict(weights)
    oracle.to(device).load_state_dict(weights)
    return model, oracle.double()


@pytest.mark.shape
@pytest.mark.parametrize("arguments, num_classes", [((), 10), ((7,), 7)], ids=["default", "7"])
def test_parameters(submission, arguments, num_classes):
    """state_dict 的鍵與形狀"""
    state = {name: tuple(value.shape) for name, value in submission.CifarCNN(*arguments).state_dict().items()}
    assert_equal(dict(sorted(state.items())), dict(sorted(shapes(num_classes).items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """logits 的形狀與 dtype"""
    for num_classes in (7, 1):
        model = submission.CifarCNN(num_classes).to(device, getattr(torch, dtype))
        logits = model(rng.normal((3, 3, 32, 32), dtype=dtype))
        assert_shape(logits, (3, num_classes), what=f"num_classes = {num_classes} 時，logits")
        assert_dtype(logits, dtype, what="logits")


@pytest.mark.numeric
@pytest.mark.parametrize("mode, n", [("train", 5), ("eval", 1)])
def test_logits(pair, rng, mode, n):
    """logits 與同樣權重的網路相同"""
    model, oracle = pair
    x = rng.normal((n, 3, 32, 32))
    expected = oracle(x.double())
    with unchanged(x):
        # float32 經過四層，誤差約 2e-6；各種寫法的加總順序不同，可到它的十倍。
        assert_close(model.train(mode == "train")(x), expected, rtol=1e-4, atol=1e-4, what="logits")


@pytest.mark.numeric
def test_repeatable(pair, rng):
    """訓練時每次呼叫都相同"""
    # 隨機翻轉整個 batch 的，一次呼叫有一半看不出來：二十次都漏掉的機率是 1e-6。
    model, oracle = pair
    x = rng.normal((2, 3, 32, 32))
    expected = oracle(x.double())
    model.train()
    with torch.no_grad():
        for _ in range(20):
            assert_close(model(x), expected, rtol=1e-4, atol=1e-4, what="logits")


@pytest.mark.gradient
def test_gradient(pair, rng):
    """輸入與每個參數的梯度"""
    # float64：在 float32，十萬個值裡總有幾個離 ReLU 的 0 或 max 的平手太近，加總順序不同就會選到另一邊。
    model, oracle = pair
    assert_same_module(model.double(), oracle, rng.normal((3, 3, 32, 32), dtype="float64"))


@pytest.fixture(scope="module")
def photos():
    """16 張 32×32 的圖（0 到 1）與標籤。"""
    with fixture("cifar-10-batches-py/data_batch_1").open("rb") as file:
        content = pickle.load(file, encoding="bytes")
    return torch.tensor(content[b"data"][:16]).reshape(16, 3, 32, 32) / 255, torch.tensor(content[b"labels"][:16])


@pytest.mark.behaviour
def test_learns(submission, photos, device):
    """學得會：60 步記住 16 張圖"""
    # 預設與 Kaiming 初始化各 60 個種子，16 張全對；損失的對數平均 −15.6 與 −12.1，標準差 1.3 與 1.1，最大 −9.2。
    # 答錯 5 張時至少是 −1.5，在九個標準差之外。
    x, labels = ((photos[0] - 0.5) / 0.25).to(device), photos[1].to(device)
    model = submission.CifarCNN().to(device)
    adam = Adam(model.parameters(), lr=1e-3)
    for _ in range(60):
        adam.step(F.cross_entropy(model(x), labels))
    with torch.no_grad():
        logits = model.eval()(x)
    right, loss = int((logits.argmax(1) == labels).sum()), float(F.cross_entropy(logits, labels))
    check(right >= 12, f"訓練 60 步後，16 張圖只答對 {right} 張（損失 {loss:.3g}）", loss)


@pytest.mark.speed
def test_speed(submission, reference, rng, device):
    """前向與反向的速度"""
    # 參考解 1；先 pooling 再 ReLU 1.0；channels_last 0.7；view 加 amax 的 pooling、unfold 加矩陣乘法 1.7；
    # 九個位移相加的卷積 2.4。逐張迴圈 1.9，但運算多三十倍，計數先擋下；逐 channel 迴圈 13。
    # 上限是 2.4 與 13 的幾何平均。
    weights, cotangent = random_weights(rng), rng.normal((32, 10))

    def step(module):
        model = module.CifarCNN().to(device)
        model.load_state_dict(weights)

        def run(x):
            logits = model(x)
            logits.backward(cotangent)
            return logits.detach()

        return run

    def inputs():
        return (rng.normal((32, 3, 32, 32)),)

    assert_within_budget(step(submission), step(reference), inputs, factor=5)
