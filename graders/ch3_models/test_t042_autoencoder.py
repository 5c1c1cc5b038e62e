"""042 · 自編碼器：評分"""

import copy
import math

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
    fail,
    fixture,
    nn,
    np,
    same_random_state,
    torch,
    unchanged,
)

D, H = 7, 4


def encode(weights, x):
    return (x @ weights["encoder.0.weight"].T + weights["encoder.0.bias"]).clamp(min=0)


def decode(weights, encoded):
    return 1 / (1 + torch.exp(-(encoded @ weights["decoder.0.weight"].T + weights["decoder.0.bias"])))


def oracle():
    """題目的模型；記下每次的輸入，供照著重算。"""

    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.decoder = nn.ModuleList([nn.Linear(D, H)]), nn.ModuleList([nn.Linear(H, D)])
            self.batches = []

        def forward(self, x):
            self.batches.append(x.detach().clone())
            weights = dict(self.named_parameters())
            return encode(weights, x), decode(weights, encode(weights, x))

    return Oracle()


def results(encoded, decoded):
    return {"encoded": encoded, "decoded": decoded}


@pytest.fixture
def pair(submission, rng, device):
    """作答，與權重相同的 oracle（float64）。"""
    truth = rng.fill_(oracle().to(device), scale=0.7)
    model = submission.Autoencoder(D, H).to(device)
    model.load_state_dict(truth.state_dict())
    return model, truth.double()


@pytest.fixture
def training(submission, rng, device):
    """training(n, epochs, batch_size, …)：以 oracle 呼叫 train_autoencoder。

    傳回損失、模型、訓練前的權重、data，與每個 epoch 各 batch 的列號。float64：Adam 會放大接近 0 的梯度的捨入誤差。
    """
    untrained = rng.fill_(oracle().to(device).double(), scale=0.7)
    start, rows = dict(untrained.state_dict()), rng.uniform((23, D), dtype="float64")

    def run(n=23, epochs=3, batch_size=5, lr=0.02, stale=False, **seed):
        model, data = copy.deepcopy(untrained), rows[:n].clone()
        for parameter in model.parameters() if stale else ():
            parameter.grad = rng.normal(parameter.shape, dtype="float64")
        with unchanged(data):
            losses = submission.train_autoencoder(model, data, epochs=epochs, lr=lr, batch_size=batch_size, **seed)
        count = epochs * math.ceil(n / batch_size)
        found = len(model.batches)
        check(
            found == count,
            f"{n} 個樣本、batch_size {batch_size}、{epochs} 個 epoch：model 應呼叫 {count} 次，得到 {found} 次",
            found,
        )
        batches = [rows_of(data, batch) for batch in model.batches]
        each = count // max(epochs, 1)
        return losses, model, start, data, [batches[i * each : (i + 1) * each] for i in range(epochs)]

    return run


def rows_of(data, batch):
    """batch 的每一列是 data 的第幾列。"""
    if batch.dim() != 2 or batch.shape[1] != data.shape[1]:
        fail(f"送進 model 的 batch 應是 (n, {data.shape[1]})，得到 {tuple(batch.shape)}", f"batch {batch.dim()}")
    same = (batch[:, None] == data).all(-1)
    if not same.any(1).all():
        fail("送進 model 的 batch 裡有 data 沒有的列", batch)
    return same.int().argmax(1).tolist()


def trained(start, data, epochs, lr):
    """照同樣的 batch 以式子訓練：每個 epoch 的損失，與最後的權重。"""
    weights = {name: value.clone().requires_grad_() for name, value in start.items()}
    moments = {name: [torch.zeros_like(value), torch.zeros_like(value)] for name, value in start.items()}
    losses, t = [], 0
    for batches in epochs:
        total = 0.0
        for rows in batches:
            x, t = data[rows], t + 1
            loss = (decode(weights, encode(weights, x)) - x).square().sum() / x.numel()
            total += loss.item() * len(rows)
            gradients = torch.autograd.grad(loss, list(weights.values()))
            with torch.no_grad():
                for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                    m, v = moments[name]
                    m.mul_(0.9).add_(0.1 * gradient)
                    v.mul_(0.999).add_(0.001 * gradient**2)
                    weight -= lr * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
        losses.append(total / len(data))
    return losses, {name: weight.detach() for name, weight in weights.items()}


def assert_trained(run, lr):
    losses, model, start, data, epochs = run
    wanted, weights = trained(start, data, epochs, lr)
    assert_type(losses, list, "train_autoencoder 的結果")
    for loss in losses:
        assert_type(loss, float, "每個 epoch 的損失")
    # 兩邊都是 float64，運算次序不同；參考解的誤差在 1e-13 以下。
    got = {"損失": losses, "參數": dict(model.state_dict())}
    assert_close(got, {"損失": wanted, "參數": weights}, rtol=1e-7, atol=1e-9, what="訓練後的")


@pytest.mark.shape
def test_parameters(submission):
    """state_dict 的鍵與形狀"""
    state = {name: tuple(value.shape) for name, value in submission.Autoencoder(D, H).state_dict().items()}
    expected = {name: tuple(value.shape) for name, value in oracle().state_dict().items()}
    assert_equal(dict(sorted(state.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """encoded 與 decoded 的形狀、dtype"""
    out = submission.Autoencoder(D, H).to(device, getattr(torch, dtype))(rng.uniform((3, D), dtype=dtype))
    assert_type(out, tuple, "forward 的結果")
    check(len(out) == 2, f"forward 應回傳 (encoded, decoded)，得到 {len(out)} 項", len(out))
    for name, got, size in zip(("encoded ", "decoded "), out, (H, D), strict=True):
        assert_shape(got, (3, size), name)
        assert_dtype(got, dtype, name)


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_output(pair, rng, mode):
    """encoded 與 decoded 符合式子"""
    model, truth = pair
    x = rng.strided((5, D))
    expected = results(*truth(x.double()))
    model.train(mode == "train")
    with unchanged(model, x):
        assert_close(results(*model(x)), expected)


@pytest.mark.numeric
def test_halves(pair, rng):
    """單獨用 encoder 與 decoder"""
    model, truth = pair
    x, code = rng.normal((20, D)), rng.normal((3, H))  # 每個隱藏單元兩邊都有
    weights = dict(truth.named_parameters())
    expected = {"encoder(x)": encode(weights, x.double()), "decoder(encoded)": decode(weights, code.double())}
    assert_close({"encoder(x)": model.encoder(x), "decoder(encoded)": model.decoder(code)}, expected)


@pytest.mark.gradient
def test_gradient(pair, rng):
    """輸入與每個參數的梯度"""
    # float64：值離 ReLU 的 0 太近時，float32 可能落在另一邊。
    model, truth = pair
    assert_same_module(model.double(), truth, rng.normal((9, D), dtype="float64"))


@pytest.mark.behaviour
def test_other_samples(pair, rng):
    """不受別的樣本影響"""
    model, _ = pair
    x = rng.uniform((4, D))
    batch = [value.detach() for value in model(x)]
    for b in range(4):
        expected = results(*(value[b : b + 1] for value in batch))
        assert_close(results(*model(x[b : b + 1])), expected, what=f"第 {b} 個樣本單獨一個 batch 時的")


@pytest.mark.numeric
@pytest.mark.parametrize("n, batch_size, lr", [(23, 5, 0.02), (20, 5, 0.1), (11, 16, 0.05)])
def test_training(training, n, batch_size, lr):
    """每個 epoch 的損失與最後的參數"""
    assert_trained(training(n, epochs=4, batch_size=batch_size, lr=lr), lr)


@pytest.mark.behaviour
def test_stale_gradients(training):
    """參數上殘留的 grad 不會混進來"""
    assert_trained(training(epochs=2, stale=True), 0.02)


@pytest.mark.behaviour
def test_every_sample_once(training):
    """每個 epoch 每個樣本恰好一次，batch 大小正確"""
    for batches in training(n=23, batch_size=5)[-1]:
        assert_equal([len(rows) for rows in batches], [5, 5, 5, 5, 3], what="各 batch 的大小")
        seen = sorted(row for rows in batches for row in rows)
        assert_equal(seen, list(range(23)), what="一個 epoch 用到的樣本")


@pytest.mark.behaviour
def test_shuffled(training):
    """每個 epoch 重新洗牌"""
    # 23 個樣本隨機切成 5、5、5、5、3，兩次切得一樣的機會在 1e-10 以下。
    first, *others = training(epochs=3)[-1]
    check(sum(first, []) != list(range(23)), "第一個 epoch 照 data 原來的次序：沒有洗牌", first)
    for number, batches in enumerate(others, start=2):
        same = sorted(map(sorted, batches)) == sorted(map(sorted, first))
        check(not same, f"第 {number} 個 epoch 的 batch 與第 1 個 epoch 由同樣的樣本組成", [first, batches])


@pytest.mark.behaviour
def test_seed(training, rng):
    """seed 相同則訓練相同，不同則次序不同"""
    number = rng.seed()
    once, twice, other = (training(epochs=2, seed=seed) for seed in (number, number, number + 1))
    check(once[-1] == twice[-1], "seed 相同，兩次訓練的 batch 卻不同", [once[-1], twice[-1]])
    assert_close(twice[0], once[0], what="同樣的 seed 再訓練一次的損失")
    check(once[-1] != other[-1], "seed 不同，兩次訓練的 batch 卻相同", [once[-1], other[-1]])


@pytest.mark.behaviour
def test_random_state(training):
    """不動用全域亂數；seed 預設是 0"""
    with same_random_state():
        default = training(epochs=2)
    given = training(epochs=2, seed=0)
    check(default[-1] == given[-1], "不給 seed 與 seed=0 的 batch 不同", [default[-1], given[-1]])


@pytest.mark.behaviour
def test_no_epochs(training):
    """epochs = 0 時回傳空的 list，模型不動"""
    losses, model, start, _, _ = training(epochs=0)
    assert_equal(losses, [], what="train_autoencoder 的結果")
    assert_equal(dict(model.state_dict()), dict(start), what="模型的參數")


@pytest.fixture
def digits(device):
    """1,000 張手寫數字，縮成 8×8，攤平，0 到 1。"""
    pixels = np.frombuffer(fixture("MNIST/raw/train-images-idx3-ubyte").read_bytes(), dtype=np.uint8, offset=16)
    images = torch.tensor(pixels.reshape(-1, 1, 28, 28) / 255, dtype=torch.float32, device=device)
    return F.adaptive_avg_pool2d(images, 8).flatten(1)


@pytest.mark.behaviour
def test_learns(submission, digits, device, rng):
    """學得會：還原手寫數字"""
    # 30 個種子：誤差是平均影像的 0.13 倍，最大 0.18，對數的標準差 0.13；0.5 在十個標準差之外。
    # 只訓練 10 個 epoch 則是 0.24 與 0.17，只有 4.5 個。學不到東西的停在 1。
    model = submission.Autoencoder(64, 32).to(device)
    submission.train_autoencoder(model, digits, epochs=20, lr=1e-2, batch_size=64, seed=rng.seed())
    with torch.no_grad():
        error = float((model(digits)[1] - digits).square().mean())
    ratio = error / float(digits.var(0, correction=0).mean())
    check(ratio < 0.5, f"訓練 20 個 epoch 後，還原的誤差是「一律猜平均影像」的 {ratio:.2f} 倍，應不到一半", ratio)
