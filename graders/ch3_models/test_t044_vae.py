"""044 · 變分自編碼器：評分"""

import math

import pytest

from torch_kata.checks import (
    F,
    assert_close,
    assert_distribution,
    assert_dtype,
    assert_equal,
    assert_finite,
    assert_gradients,
    assert_same_module,
    assert_shape,
    assert_type,
    check,
    fail,
    fixture,
    nn,
    np,
    torch,
    unchanged,
)

D, H, L = 7, 6, 3
BETAS = pytest.mark.parametrize("beta", [None, 0.0, 0.3, 4.0], ids=["default", "0", "0.3", "4"])


def oracle():
    """題目的模型；ε 由外面給。"""

    class Oracle(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.mu, self.logvar = nn.ModuleList([nn.Linear(D, H)]), nn.Linear(H, L), nn.Linear(H, L)
            self.decoder = nn.ModuleDict({"0": nn.Linear(L, H), "2": nn.Linear(H, D)})
            self.noise = None

        def encode(self, x):
            h = self.encoder[0](x).clamp(min=0)
            return self.mu(h), self.logvar(h).exp().sqrt()

        def decode(self, z):
            return self.decoder["2"](self.decoder["0"](z).clamp(min=0)).sigmoid()

        def forward(self, x):
            loc, scale = self.encode(x)
            return self.decode(loc + scale * self.noise), loc, scale

    return Oracle()


@pytest.fixture
def pair(submission, rng, device):
    """作答，與權重相同的 oracle，都是 float64：值離 ReLU 的 0 太近時，float32 可能落在另一邊。"""
    truth = rng.fill_(oracle().to(device)).double()
    model = submission.VAE(D, H, L).to(device, torch.float64)
    model.load_state_dict(truth.state_dict())
    return model, truth


def sampled(model, x):
    """(reconstruction, posterior, z)；z 是 decoder 收到的。"""
    seen = []
    hook = model.decoder.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    try:
        out = model(x)
    finally:
        hook.remove()
    assert_type(out, tuple, "forward 的結果")
    check(len(out) == 2, f"forward 應回傳 (reconstruction, posterior)，得到 {len(out)} 項", len(out))
    reconstruction, posterior = out
    assert_type(posterior, torch.distributions.Normal, "posterior ")
    check(len(seen) == 1, f"forward 應呼叫 self.decoder(z) 一次，得到 {len(seen)} 次", len(seen))
    return reconstruction, posterior, seen[0]


def normal(loc, scale):
    return torch.distributions.Normal(loc, scale)


def closed_form(loc, scale):
    """KL(Normal(loc, scale) ‖ N(0, 1))，float64。"""
    loc, scale = loc.double(), scale.double()
    return (loc**2 + scale**2 - 1 - 2 * scale.log()) / 2


def negative_elbo(reconstruction, x, loc, scale, beta):
    """題目的式子，float64。"""
    p, x = reconstruction.double(), x.double()
    bce = -(x * p.log() + (1 - x) * (1 - p).log())
    return (bce.sum() + beta * closed_form(loc, scale).sum()) / len(x)


@pytest.mark.shape
def test_parameters(submission):
    """state_dict 的鍵與形狀"""
    state = {name: tuple(value.shape) for name, value in submission.VAE(D, H, L).state_dict().items()}
    expected = {name: tuple(value.shape) for name, value in oracle().state_dict().items()}
    assert_equal(dict(sorted(state.items())), dict(sorted(expected.items())), what="state_dict 的形狀")


@pytest.mark.shape
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_shape(submission, rng, device, dtype):
    """posterior、reconstruction、損失的形狀與 dtype"""
    model = submission.VAE(D, H, L).to(device, getattr(torch, dtype))
    for b in (5, 1):
        x = rng.uniform((b, D), dtype=dtype)
        alone = model.encode(x)
        assert_type(alone, torch.distributions.Normal, "encode 的結果")
        reconstruction, posterior, _ = sampled(model, x)
        loss = submission.elbo_loss(x.clamp(0.1, 0.9), x, normal(*(rng.uniform((b, L), dtype=dtype) + 1 for _ in "ab")))
        shapes = {"reconstruction ": (reconstruction, (b, D)), "損失": (loss, ())}
        for name, law in (("encode", alone), ("posterior", posterior)):
            shapes |= {f"{name} 的 loc ": (law.loc, (b, L)), f"{name} 的 scale ": (law.scale, (b, L))}
        for name, (got, shape) in shapes.items():
            assert_shape(got, shape, name)
            assert_dtype(got, dtype, name)


@pytest.mark.numeric
def test_encode(pair, rng):
    """loc 與 scale 符合式子"""
    model, truth = pair
    x = rng.strided((5, D), dtype="float64")
    loc, scale = truth.encode(x)
    with unchanged(model, x):
        posterior = model.encode(x)
    assert_close({"loc": posterior.loc, "scale": posterior.scale}, {"loc": loc, "scale": scale})


@pytest.mark.numeric
def test_forward(pair, rng):
    """由 z 還原的 reconstruction，與 encode 相同的 posterior"""
    model, truth = pair
    x = rng.strided((5, D), dtype="float64")
    loc, scale = truth.encode(x)
    with unchanged(model, x):
        reconstruction, posterior, z = sampled(model, x)
    assert_shape(z, (5, L), "z ")
    got = {"reconstruction": reconstruction, "loc": posterior.loc, "scale": posterior.scale}
    assert_close(got, {"reconstruction": truth.decode(z.detach()), "loc": loc, "scale": scale})


@pytest.mark.behaviour
def test_other_samples(pair, rng):
    """posterior 不受別的樣本影響"""
    model, _ = pair
    x = rng.uniform((4, D), dtype="float64")
    batch = model.encode(x)
    for b in range(4):
        alone = model.encode(x[b : b + 1])
        expected = {"loc": batch.loc[b : b + 1].detach(), "scale": batch.scale[b : b + 1].detach()}
        assert_close({"loc": alone.loc, "scale": alone.scale}, expected, what=f"第 {b} 個樣本單獨一個 batch 時的")


@pytest.fixture
def noises(submission, rng, device):
    """noises(mode)：兩次 forward 的 (z − loc) / scale，(160, 64)；loc 與 scale 由輸入與權重算出，scale 約是 2。"""

    def draw(mode):
        model = rng.fill_(submission.VAE(D, H, 64).to(device, torch.float64)).train(mode == "train")
        with torch.no_grad():
            model.logvar.bias.add_(1.5)
        x = rng.normal((160, D), dtype="float64")
        h = F.linear(x, model.encoder[0].weight, model.encoder[0].bias).clamp(min=0)
        loc, logvar = (F.linear(h, part.weight, part.bias) for part in (model.mu, model.logvar))
        zs = [sampled(model, x)[2] for _ in range(2)]
        for z in zs:
            assert_shape(z, (160, 64), "z ")
        return [((z - loc) / logvar.exp().sqrt()).detach() for z in zs]

    return draw


@pytest.mark.numeric
@pytest.mark.parametrize("mode", ["train", "eval"])
def test_sample(noises, mode):
    """z 的平均與變異數由 posterior 決定"""
    from scipy.special import ndtr

    noise, _ = noises(mode)
    if float(noise.std()) < 0.1:
        fail(f"{mode} 模式的 z 幾乎就是 loc：沒有抽樣", noise)
    # 一萬個樣本；標準差差一成、均勻分布，都一定看得出來。
    assert_distribution(noise, ndtr, "(z − loc) / scale ")


@pytest.mark.behaviour
def test_fresh_noise(noises):
    """每次呼叫、每個元素的 z 都重抽"""
    first, second = noises("train")
    spread = {
        "兩次呼叫": (first - second).abs(),
        "不同的樣本": (first[1:] - first[:1]).abs(),
        "不同的 latent": (first[:, 1:] - first[:, :1]).abs(),
    }
    for name, difference in spread.items():
        # 獨立的標準常態，差的平均是 1.13；同一個 ε 是 0。
        check(float(difference.mean()) > 0.3, f"{name}用了同樣的 ε：(z − loc) / scale 幾乎相等", difference)


class Opened:
    """作答的 VAE，輸出攤成張量；每次都用同樣的亂數。"""

    def __init__(self, model, seed, whole):
        self.model, self.seed, self.whole = model, seed, whole
        self.parameters, self.named_parameters = model.parameters, model.named_parameters

    def __call__(self, x):
        torch.manual_seed(self.seed)
        reconstruction, posterior, _ = sampled(self.model, x)
        return (reconstruction, posterior.loc, posterior.scale) if self.whole else reconstruction


@pytest.mark.gradient
@pytest.mark.parametrize("whole", [False, True], ids=["reconstruction", "reconstruction-loc-scale"])
def test_gradient(pair, rng, whole):
    """輸入與每個參數的梯度"""
    # 只看 reconstruction 時，encoder 的梯度全部由 z 傳回。
    model, truth = pair
    x, seed = rng.uniform((5, D), dtype="float64"), rng.seed()
    torch.manual_seed(seed)
    *_, z = sampled(model, x)
    loc, scale = truth.encode(x)
    truth.noise = ((z - loc) / scale).detach()
    if not whole:
        everything = truth.forward
        truth.forward = lambda x: everything(x)[0]
    assert_same_module(Opened(model, seed, whole), truth, x)


@pytest.mark.numeric
@BETAS
def test_loss(submission, rng, beta):
    """BCE + beta · KL，對 batch 取平均"""
    for b in (5, 1):
        reconstruction, x = rng.uniform((b, D), 0.02, 0.98), rng.uniform((b, D))
        loc, scale = 2 * rng.normal((b, L)), rng.uniform((b, L), 0.2, 3.0)
        expected = negative_elbo(reconstruction, x, loc, scale, 1.0 if beta is None else beta)
        with unchanged(reconstruction, x, loc, scale):
            options = {} if beta is None else {"beta": beta}
            assert_close(submission.elbo_loss(reconstruction, x, normal(loc, scale), **options), expected, what="損失")


@pytest.mark.numeric
def test_confident(submission, tensor):
    """reconstruction 離 0 與 1 只有 1e-4 時的損失"""
    # 截在 1e-6、log 裡加 1e-8 的寫法差不到 1e-4；截在 1e-3 的少四分之一。
    reconstruction, x = tensor([[1e-4, 1 - 1e-4, 1 - 1e-4]]), tensor([[1.0, 0.0, 0.5]])
    loc, scale = tensor([[0.0]]), tensor([[1.0]])
    expected = negative_elbo(reconstruction, x, loc, scale, 1.0)
    got = submission.elbo_loss(reconstruction, x, normal(loc, scale))
    assert_close(got, expected, rtol=1e-3, what="reconstruction 離 0 與 1 只有 1e-4 時的損失")


@pytest.mark.gradient
def test_loss_gradient(submission, rng):
    """elbo_loss 對 reconstruction、loc、scale 的梯度"""
    x = rng.uniform((4, D), dtype="float64")

    def loss(reconstruction, loc, scale):
        return submission.elbo_loss(reconstruction, x, normal(loc, scale), 0.7)

    assert_gradients(loss, rng.uniform((4, D), 0.1, 0.9), rng.normal((4, L)), rng.uniform((4, L), 0.3, 2.0))


@pytest.mark.numeric
def test_kl(submission, tensor):
    """KL 等於公式，posterior 是先驗時為 0"""
    half, x = tensor([[0.5, 0.5]]), tensor([[1.0, 0.0]])
    for loc, logvar in [([0.0] * 3, [0.0] * 3), ([2.0, -1.5, 0.0], [0.0] * 3), ([0.0] * 3, [-3.0, 1.0, 0.5])]:
        loc, scale = tensor([loc]), (tensor([logvar]) / 2).exp()
        expected = 2 * math.log(2) + closed_form(loc, scale).sum()
        got = submission.elbo_loss(half, x, normal(loc, scale))
        assert_close(got, expected, what=f"loc {loc.tolist()[0]}、logvar {logvar} 時的損失（BCE 是 2 log 2）")


@pytest.mark.numeric
@pytest.mark.parametrize("logvar", [-20.0, 20.0])
def test_extreme_logvar(submission, rng, tensor, device, logvar):
    """logvar 是 ±20 時的 scale、KL 與梯度"""
    model = submission.VAE(D, H, L).to(device)
    nn.init.zeros_(model.logvar.weight), nn.init.constant_(model.logvar.bias, logvar)
    posterior = model.encode(rng.uniform((2, D)))
    expected = torch.full((2, L), math.exp(logvar / 2), device=device)
    assert_close(posterior.scale, expected, rtol=1e-5, atol=0, what="scale ")
    loc, scale = tensor([[1.0, -2.0, 0.5]]), torch.full((1, L), math.exp(logvar / 2), device=device)
    expected = {"損失": math.log(2) + closed_form(loc, scale).sum(), "loc 的梯度": loc.clone()}
    expected["scale 的梯度"] = scale.double() - 1 / scale.double()
    half = tensor([[0.5]])
    loss = submission.elbo_loss(half, half, normal(loc.requires_grad_(), scale.requires_grad_()))
    loss.backward()
    got = {"損失": loss, "loc 的梯度": loc.grad, "scale 的梯度": scale.grad}
    assert_close(got, expected, rtol=1e-5, what=f"logvar {logvar:g} 時的")


@pytest.mark.numeric
@pytest.mark.parametrize("logvar", [-20.0, 20.0])
def test_saturated(submission, rng, tensor, device, logvar):
    """reconstruction 是 0 與 1 時，損失與梯度有限"""
    model = submission.VAE(4, H, L).to(device)
    nn.init.constant_(model.logvar.bias, logvar)
    nn.init.zeros_(model.decoder[2].weight)
    with torch.no_grad():
        model.decoder[2].bias.copy_(tensor([200.0, -200.0, 200.0, -200.0]))
    x = tensor([[1.0, 0.0, 0.0, 1.0]])  # 前兩個猜對，後兩個全錯
    reconstruction, posterior = model(x)
    loss = submission.elbo_loss(reconstruction, x, posterior)
    assert_finite(loss, what="損失")
    loss.backward()
    assert_finite(*(parameter.grad for parameter in model.parameters()), what="參數的梯度")


@pytest.fixture
def digits(device):
    """1,000 張手寫數字，縮成 8×8，攤平，二值化。"""
    pixels = np.frombuffer(fixture("MNIST/raw/train-images-idx3-ubyte").read_bytes(), dtype=np.uint8, offset=16)
    images = torch.tensor(pixels.reshape(-1, 1, 28, 28) / 255, dtype=torch.float32, device=device)
    return (F.adaptive_avg_pool2d(images, 8).flatten(1) > 0.5).float()


@pytest.mark.behaviour
def test_learns(submission, digits, rng, device):
    """學得會：損失低於平均影像的 0.9 倍"""
    # 30 個種子：0.787 倍，最大 0.811，對數的標準差 0.011；0.9 在十二個標準差之外。學不到東西的停在 1 以上。
    p = digits.double().mean(0)
    baseline = float(-(torch.xlogy(p, p) + torch.xlogy(1 - p, 1 - p)).sum())
    model = submission.VAE(64, 128, 8).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(12):
        for rows in rng.permutation(len(digits)).split(64):
            x = digits[rows]
            optimizer.zero_grad()
            submission.elbo_loss(*both(model, x)).backward()
            optimizer.step()
    with torch.no_grad():
        ratio = float(submission.elbo_loss(*both(model.eval(), digits))) / baseline
    check(ratio < 0.9, f"訓練 12 個 epoch 後，損失是「一律猜平均影像」的 {ratio:.2f} 倍，應低於 0.9", ratio)


def both(model, x):
    """elbo_loss 的引數。"""
    reconstruction, posterior = model(x)
    return reconstruction, x, posterior
