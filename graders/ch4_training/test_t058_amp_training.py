"""058 · 混合精度訓練：評分"""

import copy
import time
import warnings

import pytest

from torch_kata.checks import assert_close, assert_dtype, assert_type, check, fail, nn, same_seed, torch

LR = 0.1
SCALED = pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaler"])


class Setting:
    """一個小模型、一批資料，與 float64 的損失和梯度；step(...) 走作答的一步，傳回 (損失, 各參數的更新量)。"""

    def __init__(self, submission, rng, device):
        self.submission, self.device = submission, device
        self.model = rng.fill_(nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))).to(device)
        self.x, self.y = rng.normal((40, 6)), rng.normal((40, 3)) + 4.0
        groups = [{"params": list(self.model[layer].parameters())} for layer in (0, 2)]  # 範數是兩個群組合起來的
        self.optimizer = torch.optim.SGD(groups, lr=LR)
        self.criterion = nn.MSELoss()

    def truth(self):
        """現在的權重下，float64 的 (損失, 各參數的梯度)。"""
        double = copy.deepcopy(self.model).double()
        loss = nn.functional.mse_loss(double(self.x.double()), self.y.double())
        return loss.item(), list(torch.autograd.grad(loss, list(double.parameters())))

    def step(self, **settings):
        before = [parameter.detach().clone() for parameter in self.model.parameters()]
        loss = self.submission.amp_train_step(self.model, self.optimizer, self.criterion, self.x, self.y, **settings)
        return loss, [after.detach() - b for after, b in zip(self.model.parameters(), before, strict=True)]

    def scaler(self, init_scale=1024.0):
        """一個真的 GradScaler，記下別人對它的呼叫。"""

        class Recorder(torch.amp.GradScaler):
            calls, busy = None, False

            def record(self, name, *args):
                outer, self.busy = not self.busy, True
                self.calls = [*(self.calls or []), *([name] if outer else [])]
                try:
                    return getattr(super(), name)(*args)
                finally:
                    self.busy = not outer

            def scale(self, outputs):
                return self.record("scale", outputs)

            def unscale_(self, optimizer):
                return self.record("unscale_", optimizer)

            def step(self, optimizer, *args, **kwargs):
                return self.record("step", optimizer)

            def update(self, new_scale=None):
                return self.record("update")

        return Recorder(self.device.type, init_scale=init_scale)


@pytest.fixture
def setting(submission, rng, device):
    return Setting(submission, rng, device)


def norm(tensors):
    return float(torch.cat([tensor.double().reshape(-1) for tensor in tensors]).norm())


def distance(update, expected):
    """兩者之差的範數，是 expected 的幾倍。"""
    return norm([u.double() - e for u, e in zip(update, expected, strict=True)]) / norm(expected)


def assert_update(update, gradients, what="更新量", scale=1.0):
    """更新量與 −lr·梯度（再乘 scale）之差，範數不到後者的 15%。"""
    error = distance(update, [-LR * scale * gradient for gradient in gradients])
    check(error < 0.15, f"{what}與 float32 的差了 {100 * error:.3g}%，上限是 15%", update)


@pytest.mark.shape
@SCALED
def test_result(setting, scaled):
    """傳回 Python float"""
    loss, _ = setting.step(scaler=setting.scaler() if scaled else None)
    assert_type(loss, float)


@pytest.mark.numeric
@SCALED
def test_loss(setting, scaled):
    """傳回沒有放大的損失，與 float32 的相差不到 2%"""
    expected, _ = setting.truth()
    loss, _ = setting.step(scaler=setting.scaler() if scaled else None)
    assert_close(loss, expected, rtol=2e-2, what="損失")


@pytest.mark.numeric
@SCALED
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_update(setting, scaled, dtype):
    """一步的更新量與 float32 的相差不到 15%"""
    # 16 位元的捨入誤差：1,500 個 seed 中最大的是 0.4%（bfloat16）與 0.05%（float16）。
    _, gradients = setting.truth()
    _, update = setting.step(dtype=getattr(torch, dtype), scaler=setting.scaler() if scaled else None)
    assert_update(update, gradients)


@pytest.mark.numeric
@SCALED
def test_clip(setting, scaled):
    """截斷的是真正的梯度：更新的範數是 lr · max_norm"""
    _, gradients = setting.truth()
    total = norm(gradients)
    _, update = setting.step(scaler=setting.scaler() if scaled else None, max_norm=0.25 * total)
    found, wanted = norm(update), LR * 0.25 * total
    near = abs(found - wanted) < 5e-3 * wanted
    check(near, f"max_norm={0.25 * total:.4g}、lr={LR} 時，更新的範數應為 {wanted:.4g}，得到 {found:.4g}", update)
    assert_update(update, gradients, what="截斷後的更新量", scale=0.25)


@pytest.mark.numeric
@SCALED
def test_no_need_to_clip(setting, scaled):
    """梯度小於 max_norm 時不變"""
    _, gradients = setting.truth()
    _, update = setting.step(scaler=setting.scaler() if scaled else None, max_norm=2 * norm(gradients))
    assert_update(update, gradients, what="max_norm 是梯度範數的兩倍時，更新量")


@pytest.mark.behaviour
@SCALED
@pytest.mark.parametrize("dtype", ["default", "bfloat16", "float16"])
def test_matmul_dtype(setting, dtype, scaled):
    """nn.Linear 以 dtype 計算"""
    seen = []
    for layer in (setting.model[0], setting.model[2]):
        layer.register_forward_hook(lambda module, inputs, output: seen.append(str(output.dtype)))
    settings = {} if dtype == "default" else {"dtype": getattr(torch, dtype)}
    loss, _ = setting.step(**settings, scaler=setting.scaler() if scaled else None)
    wanted = "torch." + dtype.replace("default", "bfloat16")
    check(seen, "沒有呼叫 model", "no forward")
    if seen != [wanted] * len(seen):
        fail(f"各個 nn.Linear 的輸出應是 {wanted}，得到 {seen}", [loss, seen])


@pytest.mark.behaviour
def test_parameters(setting):
    """參數與梯度一直是 float32"""
    held, seen, gradients = list(setting.model.parameters()), [], []
    setting.model.register_forward_pre_hook(lambda module, inputs: seen.extend(p.dtype for p in module.parameters()))
    for parameter in held:
        parameter.register_hook(lambda gradient: gradients.append(gradient.dtype))
    setting.step()
    same = all(a is b for a, b in zip(setting.model.parameters(), held, strict=True))
    check(same, "參數換成了別的物件：optimizer 管的還是舊的", "replaced")
    for parameter in held:
        assert_dtype(parameter, "float32", what="更新後的參數")
    for name, dtypes in (("forward 當時的參數", seen), ("backward 算出的梯度", gradients)):
        check(set(dtypes) == {torch.float32}, f"{name}是 {dtypes}，應一直是 float32", f"{name} {dtypes}")


@pytest.mark.behaviour
def test_train_mode(setting):
    """train() 的模型就在 train() 模式下訓練"""
    seen = []
    setting.model.train()
    setting.model.register_forward_pre_hook(lambda module, inputs: seen.append(module.training))
    loss, _ = setting.step()
    check(seen and all(seen), "把 train() 模式的模型切到了 eval()：dropout 與 BatchNorm 不再是訓練的樣子", [loss, seen])


@pytest.mark.behaviour
def test_seed(setting, rng):
    """不重設全域亂數的種子"""
    with same_seed(rng):
        setting.step()


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_criterion(setting, rng, kind):
    """criterion 收到 float32 的輸出與原來的 y"""
    seen, targets, loss_function = [], [], nn.functional.mse_loss
    if kind == "classification":
        setting.y, loss_function = rng.integers(0, 3, (40,)), nn.functional.cross_entropy
    wanted = setting.y

    def criterion(outputs, y):
        seen.append(str(outputs.dtype))
        targets.append(y is wanted)
        return loss_function(outputs.float(), wanted)

    setting.criterion = criterion
    loss, _ = setting.step()
    check(seen == ["torch.float32"], f"criterion 收到的輸出依序是 {seen}，應是一次 float32", [loss, seen])
    check(all(targets), f"criterion 收到的 y 不是原來的那個（{wanted.dtype}）：y 要原樣交給它", "target")


@pytest.mark.behaviour
def test_backward_outside_autocast(setting):
    """backward 時 autocast 已關閉"""
    seen = []

    def criterion(outputs, y):
        outputs.register_hook(lambda gradient: seen.append(torch.is_autocast_enabled(setting.device.type)))
        return nn.functional.mse_loss(outputs.float(), y)

    setting.criterion = criterion
    loss, _ = setting.step()
    check(seen, "沒有 backward 到模型的輸出", "no backward")
    check(not any(seen), "backward 還在 autocast 裡：autocast 只包 forward", [loss, seen])


@pytest.mark.behaviour
def test_stale_gradients(setting, rng):
    """舊的梯度不算進來"""
    for parameter in setting.model.parameters():
        parameter.grad = 5 * rng.normal(parameter.shape)
    updates, errors = [], []
    for _ in range(2):
        _, gradients = setting.truth()
        updates.append(setting.step()[1])
        errors.append(distance(updates[-1], [-LR * gradient for gradient in gradients]))
    told = "、".join(f"{100 * error:.3g}%" for error in errors)
    check(max(errors) < 0.15, f"參數留著舊的梯度時，兩步的更新量與 float32 的差了 {told}，上限是 15%", updates)


@pytest.mark.behaviour
@pytest.mark.parametrize("clip", [False, True], ids=["no-max_norm", "max_norm"])
def test_scaler_calls(setting, clip):
    """scaler 的呼叫依序是 scale、unscale_、step、update"""
    scaler = setting.scaler()
    loss, update = setting.step(scaler=scaler, max_norm=0.5 if clip else None)
    calls = scaler.calls or []
    wanted = ["scale", "unscale_", "step", "update"]
    allowed = [wanted] if clip else [wanted, ["scale", "step", "update"]]
    check(calls in allowed, f"對 scaler 的呼叫應依序是 {allowed[-1]}，得到 {calls}", [update, calls])


@pytest.mark.behaviour
@pytest.mark.parametrize("clip", [False, True], ids=["no-max_norm", "max_norm"])
def test_overflow(setting, clip):
    """溢位時不更新，scale 縮小"""
    scaler = setting.scaler(init_scale=2.0**40)  # 放大後的梯度超過 float16 的範圍
    loss, _ = setting.truth()
    found, update = setting.step(dtype=torch.float16, scaler=scaler, max_norm=0.5 if clip else None)
    zeros = [torch.zeros_like(part) for part in update]
    assert_close(update, zeros, rtol=0, atol=0, what="放大後的梯度溢位時，參數的更新量")
    assert_close(scaler.get_scale(), 2.0**39, what="之後的 scale")
    assert_close(found, loss, rtol=2e-2, what="損失")


@pytest.mark.behaviour
def test_warnings(setting):
    """沒有已棄用的 amp 警告"""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        setting.step(scaler=setting.scaler())
        setting.step()
    told = [str(w.message) for w in caught if issubclass(w.category, FutureWarning | DeprecationWarning)]
    told = [message for message in told if "amp" in message]
    check(not told, f"用了已棄用的寫法：{told[:1]}", "deprecated")


@pytest.mark.cuda
@pytest.mark.numeric
def test_cuda_float16(setting):
    """CUDA：float16 加 GradScaler，連走五步"""
    scaler = setting.scaler(init_scale=2.0**14)
    for number in range(1, 6):
        expected, gradients = setting.truth()
        total = norm(gradients)
        loss, update = setting.step(dtype=torch.float16, scaler=scaler, max_norm=0.5 * total)
        assert_close(loss, expected, rtol=2e-2, what=f"第 {number} 步的損失")
        assert_update(update, gradients, what=f"第 {number} 步的更新量", scale=0.5)


@pytest.mark.cuda
@pytest.mark.speed
def test_cuda_speed(submission, device):
    """CUDA：以矩陣乘法為主的模型，比 float32 快"""
    x = torch.randn(2048, 4096, device=device)

    def seconds(step):
        model = nn.Sequential(*[nn.Linear(4096, 4096) for _ in range(4)]).to(device)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        times = []
        for _ in range(6):
            torch.cuda.synchronize()
            start = time.perf_counter()
            step(model, optimizer)
            torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        return min(times[2:])

    def full(model, optimizer):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x).backward()
        optimizer.step()

    scaler = torch.amp.GradScaler(device.type)

    def mixed(model, optimizer):
        submission.amp_train_step(model, optimizer, nn.MSELoss(), x, x, dtype=torch.float16, scaler=scaler)

    slow, fast = seconds(full), seconds(mixed)
    check(fast < slow, f"混合精度一步 {1e3 * fast:.1f} 毫秒，float32 是 {1e3 * slow:.1f} 毫秒：沒有比較快", "slow")
