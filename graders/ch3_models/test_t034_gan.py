"""034 · 生成對抗網絡：評分"""

import copy

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_distribution,
    assert_dtype,
    assert_equal,
    assert_parameter_gradients,
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

SETTINGS = {"SGD": {"lr": 0.1, "momentum": 0.9}, "Adam": {"lr": 0.02, "betas": (0.5, 0.999)}}
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
NOISE, HIDDEN, PIXELS = 3, 6, 5


def networks(rng, device, sizes=(NOISE, HIDDEN, PIXELS), dtype="float64"):
    """自備的 generator 與 discriminator；前者記下它收到的 z。"""
    noise, hidden, pixels = sizes

    class Made(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.noise_dim = nn.Linear(noise, hidden), nn.Linear(hidden, pixels), noise
            self.noises = []

        def forward(self, z):
            if z.dim() != 2 or z.shape[1] != noise:
                fail(f"送進 generator 的 z 應是 (B, {noise})，得到 {tuple(z.shape)}", f"z {tuple(z.shape)}")
            self.noises.append(z.detach().clone())
            return torch.tanh(self.second(F.leaky_relu(self.first(z), 0.2)))

    judge = nn.Sequential(nn.Linear(pixels, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1))
    return [network.to(device, getattr(torch, dtype)) for network in (Made(), judge)]


@pytest.fixture
def game(submission, rng, device):
    """game(kind)：自備的兩個網路、它們的 optimizer，與走一步的函式；權重每個檢查只抽一次。

    float64：Adam 會放大接近 0 的梯度的捨入誤差。
    """
    first = [rng.fill_(network, scale=0.7) for network in networks(rng, device)]

    def make(kind="SGD", shift=0.0, **settings):
        g, d = copy.deepcopy(first)
        with torch.no_grad():
            d[-1].bias.add_(shift)
        return Game(submission, g, d, kind, {**SETTINGS[kind], **settings})

    return make


class Game:
    """兩個網路與 optimizer；step 走作答的一步。"""

    def __init__(self, submission, g, d, kind, settings):
        self.submission, self.g, self.d = submission, g, d
        self.g_optimizer, self.d_optimizer = self.optimizers(kind, settings)
        self.truth = Truth(g, d, kind, settings)

    def optimizers(self, kind, settings):
        return [getattr(torch.optim, kind)(network.parameters(), **settings) for network in (self.g, self.d)]

    def step(self, real, **options):
        """走一步；傳回 (d_loss, g_loss) 與這一步用到的 z。"""
        self.g.noises.clear()
        out = self.submission.gan_step(self.g, self.d, self.g_optimizer, self.d_optimizer, real, **options)
        count = len(self.g.noises)
        check(count in (1, 2), f"gan_step 應呼叫 generator 一次或兩次，得到 {count} 次", count)
        for z in self.g.noises:
            assert_shape(z, (len(real), NOISE), "送進 generator 的 z ")
            assert_dtype(z, real.dtype, "送進 generator 的 z ")
        return out, list(self.g.noises)

    def weights(self):
        return {"generator": dict(self.g.state_dict()), "discriminator": dict(self.d.state_dict())}


class Truth(Game):
    """同樣的權重；照題目的式子，以作答用到的 z 重走一步。"""

    def __init__(self, g, d, kind, settings):
        self.g, self.d = copy.deepcopy((g, d))
        self.g_optimizer, self.d_optimizer = self.optimizers(kind, settings)

    def step(self, real, noises):
        fake = self.g(noises[0]).detach()
        d_loss = F.softplus(-self.d(real)).mean() + F.softplus(self.d(fake)).mean()
        self.update(self.d, self.d_optimizer, d_loss)
        g_loss = F.softplus(-self.d(self.g(noises[-1]))).mean()
        self.update(self.g, self.g_optimizer, g_loss)
        return d_loss.item(), g_loss.item()

    def update(self, network, optimizer, loss):
        parameters = list(network.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()


def assert_steps(game, batches):
    """逐步比較損失與兩個網路的權重。"""
    for number, real in enumerate(batches, start=1):
        with unchanged(real):
            out, noises = game.step(real)
        assert_type(out, tuple, "gan_step 的結果")
        expected = dict(zip(("d_loss", "g_loss"), game.truth.step(real, noises), strict=True))
        check(len(out) == 2, f"gan_step 應回傳 (d_loss, g_loss)，得到 {len(out)} 項", len(out))
        for loss in out:
            assert_type(loss, float, "損失")
        losses = dict(zip(("d_loss", "g_loss"), out, strict=True))
        got, wanted = ({"損失": a, "權重": b.weights()} for a, b in ((losses, game), (expected, game.truth)))
        # 兩邊都是 float64，運算次序不同；參考解四步之後的誤差在 1e-13 以下。
        assert_close(got, wanted, rtol=1e-7, atol=1e-9, what=f"第 {number} 步之後的")


@pytest.mark.shape
@DTYPES
def test_generator_shape(submission, rng, device, dtype):
    """Generator 的輸出與 noise_dim"""
    generator = submission.Generator(4, 11).to(device, getattr(torch, dtype)).eval()
    assert_equal(generator.noise_dim, 4, what="noise_dim ")
    for b in (6, 1):
        out = generator(rng.normal((b, 4), dtype=dtype))
        assert_shape(out, (b, 11), "Generator 的輸出")
        assert_dtype(out, dtype, "Generator 的輸出")


@pytest.mark.shape
@DTYPES
def test_discriminator_shape(submission, rng, device, dtype):
    """Discriminator 的輸出"""
    discriminator = submission.Discriminator(11).to(device, getattr(torch, dtype)).eval()
    for b in (6, 1):
        logits = discriminator(rng.normal((b, 11), dtype=dtype))
        assert_shape(logits, (b, 1), "logits ")
        assert_dtype(logits, dtype, "logits ")


@pytest.mark.numeric
def test_range(submission, rng, device):
    """Generator 的輸出在 −1 與 1 之間，兩端都到得了"""
    generator = submission.Generator(5, 80).to(device).eval()
    z = rng.normal((16, 5))
    for scale in (1, 100):
        with torch.no_grad():
            for parameter in generator.parameters():
                parameter.mul_(scale)
            out = generator(scale * z)
        low, high = float(out.min()), float(out.max())
        check(low >= -1 and high <= 1, f"輸出應在 −1 與 1 之間，得到 {low:.4g} 到 {high:.4g}", out)
    # 各層放大 100 倍之後，80 個輸出單元各自飽和；全部同號的機會在 1e-20 以下。
    check(low < -0.99 and high > 0.99, f"參數很大時，輸出應到得了 −1 與 1，得到 {low:.4g} 到 {high:.4g}", out)


@pytest.mark.numeric
def test_logits(submission, rng, device):
    """Discriminator 的輸出不限於 0 與 1 之間"""
    discriminator = submission.Discriminator(12).to(device).eval()
    with torch.no_grad():
        for parameter in discriminator.parameters():
            parameter.mul_(100)
        logits = discriminator(100 * rng.normal((16, 12)))
    largest = float(logits.abs().max())
    check(largest > 2, f"參數與輸入都很大時，logits 的絕對值最大只有 {largest:.4g}：logits 不經過 sigmoid", logits)


@pytest.mark.gradient
@pytest.mark.parametrize("name", ["Generator", "Discriminator"])
def test_gradient(submission, rng, device, name):
    """每個參數的梯度"""
    network, size = (submission.Generator(4, 7), 4) if name == "Generator" else (submission.Discriminator(7), 7)
    assert_parameter_gradients(network.to(device).eval(), rng.normal((5, size)))


@pytest.mark.numeric
@pytest.mark.parametrize("kind", SETTINGS)
def test_steps(game, rng, kind):
    """連續四步的損失與權重"""
    assert_steps(game(kind), [rng.uniform((b, PIXELS), -1, 1, dtype="float64") for b in (8, 5, 1, 7)])


@pytest.mark.numeric
@pytest.mark.parametrize("logit", [-200, 200])
def test_large_logits(game, rng, logit):
    """logits 是 ±200 時的損失與權重"""
    assert_steps(game(shift=float(logit), lr=1e-2), [rng.uniform((6, PIXELS), -1, 1, dtype="float64")])


@pytest.mark.behaviour
def test_stale_gradients(game, rng):
    """呼叫前殘留的梯度不影響結果"""
    players = game()
    for network in (players.g, players.d):
        for parameter in network.parameters():
            parameter.grad = rng.normal(parameter.shape, dtype="float64")
    assert_steps(players, [rng.uniform((6, PIXELS), -1, 1, dtype="float64")])


def watch(game, real):
    """走一步；傳回各 optimizer 的 step 依序看到的：名字、G 與 D 的參數和 G 的梯度（step 之後的）。"""
    seen = []

    def note(name):
        def hook(*_):
            gradients = {key: None if p.grad is None else p.grad.clone() for key, p in game.g.named_parameters()}
            seen.append((name, copy.deepcopy(game.weights()), gradients))

        return hook

    game.d_optimizer.register_step_post_hook(note("d_optimizer"))
    game.g_optimizer.register_step_post_hook(note("g_optimizer"))
    game.step(real)
    names = [name for name, _, _ in seen]
    expected = ["d_optimizer", "g_optimizer"]
    check(names == expected, f"step 的次序應是 {expected}，得到 {names}", names)
    return seen


@pytest.mark.behaviour
@pytest.mark.parametrize("stale", [False, True], ids=["no-gradient", "stale-gradient"])
def test_d_step(game, rng, stale):
    """D 走完那一步時，G 的參數與梯度都沒有變"""
    players = game()
    if stale:
        for parameter in players.g.parameters():
            parameter.grad = rng.normal(parameter.shape, dtype="float64")
    before = {key: None if p.grad is None else p.grad.clone() for key, p in players.g.named_parameters()}
    start = copy.deepcopy(players.weights()["generator"])
    (_, weights, gradients), _ = watch(players, rng.uniform((6, PIXELS), -1, 1, dtype="float64"))
    assert_close(weights["generator"], start, what="d_optimizer.step 之後，generator 的權重")
    for key, gradient in gradients.items():
        kept = gradient is None or not gradient.any() or (stale and torch.equal(gradient, before[key]))
        # 清掉（None 或 0）也算沒有變。
        check(kept, f"d_optimizer.step 時，generator 的 {key} 已經有 d_loss 的梯度：fake 要 detach", gradient)


@pytest.mark.behaviour
def test_g_step(game, rng):
    """G 走的那一步不改 D 的參數，requires_grad 還原"""
    players = game()
    (_, after_d, _), (_, after_g, _) = watch(players, rng.uniform((6, PIXELS), -1, 1, dtype="float64"))
    expected = after_d["discriminator"]
    assert_close(after_g["discriminator"], expected, what="g_optimizer.step 之後，discriminator 的權重")
    assert_close(players.weights()["discriminator"], expected, what="gan_step 結束時，discriminator 的權重")
    for name, network in (("generator", players.g), ("discriminator", players.d)):
        frozen = [key for key, parameter in network.named_parameters() if not parameter.requires_grad]
        check(not frozen, f"gan_step 結束時，{name} 有參數的 requires_grad 是 False", [name, frozen])


@pytest.mark.behaviour
def test_mode(game, rng):
    """結束時兩個網路都還在 train 模式"""
    players = game()
    players.step(rng.uniform((6, PIXELS), -1, 1, dtype="float64"))
    for name, network in (("generator", players.g), ("discriminator", players.d)):
        left = [key or name for key, module in network.named_modules() if not module.training]
        check(not left, f"呼叫前在 train 模式的 {name}，結束時在 eval 模式：dropout、batch norm 從此不同", [name, left])


@pytest.mark.numeric
def test_noise(submission, rng, device):
    """z 服從標準常態，每個樣本、每次呼叫都不同"""
    from scipy.special import ndtr

    g, d = networks(rng, device, (64, 4, PIXELS), "float32")
    optimizers = [torch.optim.SGD(network.parameters(), lr=1e-3) for network in (g, d)]
    for _ in range(2):
        submission.gan_step(g, d, *optimizers, rng.uniform((160, PIXELS), -1, 1))
    for z in g.noises:
        assert_shape(z, (160, 64), "送進 generator 的 z ")
        check(len(z.unique(dim=0)) == 160, "同一個 batch 的樣本用了同樣的 z", z)
    check(not torch.equal(g.noises[0], g.noises[-1]), "兩次呼叫用了同樣的 z", g.noises[-1])
    # 一萬個樣本；均勻分布、標準差差一成，都一定看得出來。
    assert_distribution(g.noises[0], ndtr, "z ")


@pytest.mark.behaviour
def test_same_rng(game, rng, device):
    """rng 相同則結果相同，不動用全域亂數"""
    real, seed = rng.uniform((6, PIXELS), -1, 1, dtype="float64"), rng.seed()
    runs = []
    for number in (seed, seed, seed + 1):
        players, generator = game(), torch.Generator(device).manual_seed(number)
        with same_random_state():
            steps = [players.step(real, rng=generator) for _ in range(2)]
        noises = [z for _, noise in steps for z in noise]
        runs.append({"損失": [losses for losses, _ in steps], "z": noises, "權重": players.weights()})
    first, again, other = runs
    assert_close(again, first, what="同樣的 rng 再走兩步的")
    check(not torch.equal(first["z"][0], other["z"][0]), "rng 的 seed 不同，z 卻相同", other["z"])
    check(not torch.equal(first["z"][0], first["z"][-1]), "同一個 rng 連走兩步，z 卻相同：不可重設 rng", first["z"])


@pytest.fixture
def digits(device):
    """1,000 張手寫數字，縮成 8×8，攤平，−1 到 1。"""
    pixels = np.frombuffer(fixture("MNIST/raw/train-images-idx3-ubyte").read_bytes(), dtype=np.uint8, offset=16)
    images = torch.tensor(pixels.reshape(-1, 1, 28, 28) / 255, dtype=torch.float32, device=device)
    return 2 * F.adaptive_avg_pool2d(images, 8).flatten(1) - 1


@pytest.mark.behaviour
def test_learns(submission, digits, rng, device):
    """學得會：300 步之後，假的數字更像真的"""
    # 30 個種子：平均 0.30、標準差 0.44，最大 0.34 與 0.51；對數的標準差都不到 0.1，0.8 在六個標準差之外。
    # 一個 z 兩步共用與各抽一個，結果沒有差別。
    g, d = networks(rng, device, (16, 128, 64), "float32")
    optimizers = [torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999)) for network in (g, d)]
    z = rng.normal((2000, 16))

    def distances():
        with torch.no_grad():
            fake = g(z)
        pairs = ((fake.mean(0), digits.mean(0)), (fake.std(0), digits.std(0)))
        return torch.stack([(a - b).square().mean().sqrt() for a, b in pairs])

    start = distances()
    for _ in range(300):
        submission.gan_step(g, d, *optimizers, digits[rng.integers(0, len(digits), (64,))])
        g.noises.clear()
    for name, ratio in zip(("平均", "標準差"), (distances() / start).tolist(), strict=True):
        message = f"走了 300 步，假影像每個像素的{name}離真影像的距離是起初的 {ratio:.2f} 倍，應在 0.8 以下"
        check(ratio < 0.8, message, ratio)
