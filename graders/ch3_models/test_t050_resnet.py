"""050 · ResNet：評分"""

import pickle

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_same_module,
    assert_shape,
    assert_type,
    check,
    fixture,
    nn,
    torch,
    unchanged,
)

# (in_channels, out_channels, stride)：不投影的只有第一種。
BLOCKS = [(4, 4, 1), (4, 4, 2), (4, 6, 1), (4, 6, 2), (6, 4, 3)]
# (num_blocks, num_classes, widths)；第二種換段時 channel 數不變，只有步長變。
NETS = {"3-stages": ([2, 1, 2], 7, (6, 4, 10)), "2-stages": ((1, 2), 3, (5, 5))}


def basic_block(n_in, n_out, stride):
    """torchvision 的區塊。"""
    from torchvision.models.resnet import BasicBlock

    projection = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out))
    return BasicBlock(n_in, n_out, stride, projection if stride != 1 or n_in != n_out else None)


def network(num_blocks, num_classes=10, widths=(64, 128, 256, 512)):
    """同樣的網路，以 torchvision 的區塊組成。"""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0])
            inputs = [widths[0], *widths]  # channels that enter each stage
            self.stages = nn.Sequential(
                *(
                    nn.Sequential(
                        basic_block(inputs[i], width, min(i, 1) + 1),
                        *(basic_block(width, width, 1) for _ in range(count - 1)),
                    )
                    for i, (count, width) in enumerate(zip(num_blocks, widths, strict=True))
                )
            )
            self.fc = nn.Linear(widths[-1], num_classes)

        def forward(self, x):
            x = self.stages(self.bn1(self.conv1(x)).clamp(min=0))
            return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))

    return Network()


def renamed(entries):
    """torchvision 的名稱改成題目的。"""
    return {name.replace("downsample", "shortcut"): value for name, value in entries.items()}


def assert_parameters(module, oracle, what):
    """The keys and shapes of the state_dict."""
    expected = {name: tuple(value.shape) for name, value in renamed(oracle.state_dict()).items()}
    found = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    for name in sorted(expected.keys() | found.keys()):
        wanted, own = expected.get(name, "沒有這一項"), found.get(name, "沒有這一項")
        check(wanted == own, f"{what}的 state_dict 的 {name} 應為 {wanted}，得到 {own}", f"{what}{name} {own}")


@pytest.fixture
def same_weights(rng, device):
    """same_weights(作答, oracle)：給兩邊同樣的隨機權重與統計量，回傳兩者，oracle 是 float64。"""

    def make(module, oracle):
        rng.fill_(oracle.to(device))
        with torch.no_grad():
            for p in oracle.parameters():
                if p.dim() == 4:  # a convolution keeps the size of the numbers
                    p *= 2 * (2 / p[0].numel()) ** 0.5
        assert_parameters(module, oracle, what="作答")
        module.load_state_dict(renamed(oracle.state_dict()))
        return module.to(device), oracle.double()

    return make


@pytest.mark.shape
def test_block_parameters(submission):
    """區塊的 state_dict 與 shortcut"""
    for sizes in BLOCKS:
        oracle = basic_block(*sizes)
        block = submission.ResidualBlock(*(sizes if sizes[2] > 1 else sizes[:2]))
        assert_parameters(block, oracle, what=f"ResidualBlock{sizes} ")
        assert_type(block.shortcut, nn.Sequential, "shortcut ")
        assert_equal(
            len(block.shortcut), 2 if oracle.downsample else 0, what=f"ResidualBlock{sizes} 的 shortcut 的層數"
        )


@pytest.mark.numeric
@pytest.mark.parametrize("sizes", BLOCKS, ids=str)
def test_block(submission, same_weights, rng, sizes):
    """區塊的輸出與 torchvision 的 BasicBlock 相同"""
    block, oracle = same_weights(submission.ResidualBlock(*sizes), basic_block(*sizes))
    for mode in ("train", "eval"):
        block.train(mode == "train"), oracle.train(mode == "train")
        x = rng.normal((3, sizes[0], 7, 10))
        expected = oracle(x.double())
        with unchanged(x):
            # float32 的兩層卷積與 batch norm，誤差不到 1e-6；各種寫法的加總順序不同，留一百倍。
            assert_close(block(x), expected, rtol=1e-4, atol=1e-4, what=f"{mode} 模式，區塊的輸出")
        state = {name: value for name, value in renamed(oracle.state_dict()).items() if "running" in name}
        own = {name: block.state_dict()[name] for name in state}
        assert_close(own, state, rtol=1e-4, atol=1e-4, what=f"{mode} 模式的一次 forward 之後，統計量")


@pytest.mark.gradient
@pytest.mark.parametrize("sizes", [(4, 4, 1), (4, 6, 2)], ids=str)
def test_block_gradient(submission, same_weights, rng, sizes):
    """區塊：輸入與每個參數的梯度"""
    # float64：在 float32，離 ReLU 的 0 太近的值，加總順序不同就會落在另一邊。
    block, oracle = same_weights(submission.ResidualBlock(*sizes), basic_block(*sizes))
    names = {name: own for name in oracle.state_dict() for own in renamed({name: 0})}
    assert_same_module(block.double(), oracle, rng.normal((3, 4, 7, 10), dtype="float64"), rename=names)


@pytest.mark.shape
def test_parameters(submission):
    """網路的 state_dict"""
    for sizes in NETS.values():
        assert_parameters(submission.ResNet(*sizes), network(*sizes), what=f"ResNet{sizes} ")


@pytest.mark.shape
def test_default_parameters(submission):
    """預設的 widths 與 num_classes：參數的總數"""
    model = submission.ResNet([1, 1, 1, 1])
    assert_equal(sum(p.numel() for p in model.parameters()), 4903242, what="ResNet([1, 1, 1, 1]) 的參數總數")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """16 到 64 像素的輸入：logits 的形狀與 dtype"""
    model = submission.ResNet([1, 1, 1, 1], 7, (3, 4, 5, 6)).to(device, getattr(torch, dtype))
    for size in [(32, 32), (16, 16), (64, 64), (19, 46), (64, 17)]:
        logits = model(rng.normal((2, 3, *size), dtype=dtype))
        assert_shape(logits, (2, 7), what=f"輸入 {size} 的 logits ")
        assert_dtype(logits, dtype, what="logits ")


@pytest.mark.shape
def test_stage_sizes(submission, rng, device):
    """第一段保持大小，之後每一段減半"""
    model = submission.ResNet([2, 3, 2], 7, (4, 6, 10)).to(device)
    x = rng.normal((2, 4, 14, 21))
    for i, size in enumerate([(2, 4, 14, 21), (2, 6, 7, 11), (2, 10, 4, 6)]):
        x = model.stages[i](x)
        assert_shape(x, size, what=f"第 {i} 段的輸出")


@pytest.mark.numeric
@pytest.mark.parametrize("sizes", NETS)
def test_logits(submission, same_weights, rng, sizes):
    """logits 與同樣權重的網路相同"""
    model, oracle = same_weights(submission.ResNet(*NETS[sizes]), network(*NETS[sizes]))
    for mode, size in [("train", (17, 24)), ("eval", (32, 32)), ("eval", (17, 24))]:
        model.train(mode == "train"), oracle.train(mode == "train")
        x = rng.normal((3, 3, *size))
        expected = oracle(x.double())
        with unchanged(x):
            assert_close(model(x), expected, rtol=1e-4, atol=1e-4, what=f"{mode} 模式，輸入 {size} 的 logits ")


@pytest.mark.gradient
@pytest.mark.parametrize("sizes", NETS)
def test_gradient(submission, same_weights, rng, sizes):
    """網路：輸入與每個參數的梯度"""
    model, oracle = same_weights(submission.ResNet(*NETS[sizes]), network(*NETS[sizes]))
    names = {name: own for name in oracle.state_dict() for own in renamed({name: 0})}
    assert_same_module(model.double(), oracle, rng.normal((3, 3, 17, 24), dtype="float64"), rename=names)


@pytest.fixture
def photos(device):
    """16 張 32×32 的圖（標準化）與標籤。"""
    with fixture("cifar-10-batches-py/data_batch_1").open("rb") as file:
        content = pickle.load(file, encoding="bytes")
    x = torch.tensor(content[b"data"][:16]).reshape(16, 3, 32, 32) / 255
    return ((x - 0.5) / 0.25).to(device), torch.tensor(content[b"labels"][:16]).to(device)


def adam(model, loss_of, steps, lr):
    """Adam by its formulas: torch.optim would import torch's compiler first, which takes longer than the training."""
    moments = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in model.parameters()]
    for t in range(1, steps + 1):
        model.zero_grad()
        loss_of(model).backward()
        with torch.no_grad():
            for p, m, v in moments:
                m.lerp_(p.grad, 0.1)
                v.lerp_(p.grad.square(), 0.001)
                p -= lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)


@pytest.mark.behaviour
def test_learns(submission, photos, device):
    """學得會：60 步記住 16 張圖"""
    # 預設、Kaiming、bn2.weight 為 0 的初始化各 10 個種子，16 張全對；損失的對數平均 −6.2、−6.0、−4.2，
    # 標準差都不到 0.1。答錯 5 張時至少是 −1.6，在二十五個標準差之外。
    x, labels = photos
    model = submission.ResNet([1, 1, 1, 1], widths=(8, 16, 32, 64)).to(device)
    adam(model, lambda model: F.cross_entropy(model(x), labels), steps=60, lr=3e-3)
    with torch.no_grad():
        logits = model(x)  # in train mode: after 60 steps the running statistics still lag behind
    right, loss = int((logits.argmax(1) == labels).sum()), float(F.cross_entropy(logits, labels))
    check(right >= 12, f"訓練 60 步後，16 張圖只答對 {right} 張（損失 {loss:.3g}）", loss)
