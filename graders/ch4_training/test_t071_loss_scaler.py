"""071 · loss scaling：評分"""

import io
import math

import pytest

from torch_kata.checks import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_type,
    check,
    fail,
    forbid,
    nn,
    raises,
    torch,
)

pytestmark = forbid("torch.amp.GradScaler", "torch.cuda.amp.GradScaler")

INF, NAN = math.inf, math.nan
SHAPES = [(3, 2), (5,), ()]


@pytest.fixture
def scaler(submission):
    """scaler(...)：作答的 LossScaler，先看它不是換了名字的 GradScaler。"""

    def make(*args, **kwargs):
        made = submission.LossScaler(*args, **kwargs)
        inherits = isinstance(made, torch.amp.GradScaler)
        check(not inherits, "LossScaler 繼承了 GradScaler：這一題要自己實作", "inherits")
        return made

    return make


@pytest.fixture
def parameters(rng, device):
    """parameters()：形狀不一的三個參數，絕對值至少 0.5，還沒有梯度。"""

    def make():
        values = [rng.normal(shape) for shape in SHAPES]
        return [nn.Parameter(value + 0.5 * value.sign()) for value in values]

    return make


def sgd(parameters, lr=0.1, momentum=0.9):
    """每個參數一個群組。"""
    return torch.optim.SGD([{"params": [parameter]} for parameter in parameters], lr=lr, momentum=momentum)


def backward(scaler, parameters, coefficients, poison=None):
    """放大後的損失 Σ c·p 的 backward，每個參數的梯度是 scale·c；再把 poison 放進第二個參數的一個元素的梯度。"""
    for parameter in parameters:
        parameter.grad = None
    loss = sum((c * p).sum() for c, p in zip(coefficients, parameters, strict=True))
    scaler.scale(loss).backward()
    if poison is not None:
        parameters[1].grad[3] = poison


def values(parameters):
    return [parameter.detach().clone() for parameter in parameters]


def coefficients(rng):
    return [rng.uniform(shape, 0.5, 2.0) for shape in SHAPES]


def scales_after(scaler, parameters, poisons, rng):
    """每次迭代之後的 scale；poisons 的每一項是那次迭代放進梯度的值，None 是不放。"""
    optimizer, found = sgd(parameters), []
    for poison in poisons:
        backward(scaler, parameters, coefficients(rng), poison)
        scaler.step(optimizer)
        scaler.update()
        found.append(scaler.get_scale())
    return found


@pytest.mark.shape
def test_types(scaler, parameters, rng):
    """傳回值的型別"""
    made, given = scaler(), parameters()
    scaled = made.scale((given[0] * 2).sum())
    assert_shape(scaled, (), what="scale(loss)")
    assert_dtype(scaled, "float32", what="scale(loss)")
    assert_type(made.get_scale(), float, what="get_scale()")
    backward(made, given, coefficients(rng))
    assert_type(made.step(sgd(given)), bool, what="step(optimizer)")


@pytest.mark.numeric
def test_scale(scaler, parameters, rng):
    """損失與梯度都放大 scale 倍"""
    given, factor = parameters(), float(rng.integer(100, 5000))
    weights = coefficients(rng)
    gradients = [factor * c.double() for c in weights]
    made = scaler(init_scale=factor)
    loss = sum((c * p).sum() for c, p in zip(weights, given, strict=True))
    before = loss.detach().clone()
    scaled = made.scale(loss)
    assert_close(scaled, factor * before.double(), rtol=1e-5, atol=0, what="scale(loss)")
    assert_close(loss, before, rtol=0, atol=0, what="scale 之後，傳進去的 loss")
    check(scaled.requires_grad, "scale(loss) 沒有連著計算圖", "no graph")
    scaled.backward()
    assert_close([p.grad for p in given], gradients, what="放大後的梯度")
    assert_close(made.get_scale(), factor, what="get_scale()")


@pytest.mark.numeric
def test_unscale(scaler, parameters, rng):
    """unscale_ 就地除以 scale"""
    given, weights = parameters(), coefficients(rng)
    made, optimizer = scaler(init_scale=float(rng.integer(1000, 5000))), sgd(given)
    backward(made, given, weights)
    held = [p.grad for p in given]
    memory = [grad.detach() for grad in held]
    made.unscale_(optimizer)
    assert_close([p.grad for p in given], [c.double() for c in weights], rtol=1e-5, what="unscale_ 之後的梯度")
    if any(p.grad is not grad for p, grad in zip(given, held, strict=True)):
        fail(".grad 換成了另一個張量；要就地修改原來的", "replaced")
    assert_close(memory, [c.double() for c in weights], rtol=1e-5, what="原有的梯度張量的記憶體")


@pytest.mark.numeric
@pytest.mark.parametrize("growth_interval", [1, 3])
def test_random_runs(scaler, parameters, rng, device, growth_interval):
    """隨機的迭代，scale、跳過的步驟與參數都與 GradScaler 相同"""
    for _ in range(3):
        settings = {
            "init_scale": float(rng.integer(100, 9000)),
            "growth_factor": rng.choice([1.5, 2.0, 3.0]),
            "backoff_factor": rng.choice([0.25, 0.5, 0.8]),
            "growth_interval": growth_interval,
        }
        start = parameters()
        plan = [
            (coefficients(rng), rng.choice([None, None, None, None, INF, NAN]), rng.integer(0, 2)) for _ in range(20)
        ]

        def run(made, start=start, plan=plan):
            given = [nn.Parameter(value) for value in values(start)]
            optimizer, trace = sgd(given), []
            for weights, poison, explicit in plan:
                backward(made, given, weights, poison)
                before = values(given)
                if explicit:
                    made.unscale_(optimizer)
                made.step(optimizer)
                made.update()
                stepped = any(not torch.equal(a, b) for a, b in zip(before, values(given), strict=True))
                trace.append({"scale": made.get_scale(), "更新了": stepped, "參數": values(given)})
            return trace

        expected = run(torch.amp.GradScaler(device.type, **settings))
        found = run(scaler(**settings))
        for name in ("scale", "更新了"):
            wanted = [item[name] for item in expected]
            assert_close(
                [item[name] for item in found], wanted, rtol=1e-6, what=f"{settings} 時，每次迭代之後的「{name}」"
            )
        assert_close([item["參數"] for item in found], [item["參數"] for item in expected], what="每次迭代之後的參數")


@pytest.mark.numeric
def test_defaults(scaler, device):
    """預設值：65536、2、0.5、2000"""
    made, parameter = scaler(), nn.Parameter(torch.ones(1, device=device))
    optimizer, found = torch.optim.SGD([parameter], lr=1e-9), [made.get_scale()]
    parameter.grad = torch.zeros(1, device=device)
    for number in range(1, 2001):
        made.step(optimizer)
        made.update()
        if number in (1, 1999, 2000):
            found.append(made.get_scale())
    parameter.grad = torch.full((1,), INF, device=device)
    made.step(optimizer)
    made.update()
    found.append(made.get_scale())
    what = "開始時、1 次、1999 次、2000 次之後、再溢位一次之後的 scale"
    assert_close(found, [65536.0, 65536.0, 65536.0, 131072.0, 65536.0], rtol=1e-6, what=what)


@pytest.mark.behaviour
def test_growth(scaler, parameters, rng):
    """連續 growth_interval 次沒有溢位才放大；沒有上限"""
    start = rng.integer(2**22, 2**23) + 0.5
    made = scaler(init_scale=start, growth_factor=3.0, growth_interval=3)
    found = scales_after(made, parameters(), [None] * 8, rng)
    expected = [start * factor for factor in (1, 1, 3, 3, 3, 9, 9, 9)]
    assert_close(found, expected, rtol=1e-6, what="growth_factor=3、growth_interval=3 時，每次迭代之後的 scale")


@pytest.mark.behaviour
def test_backoff(scaler, parameters, rng):
    """溢位時縮小，重新計數；沒有下限"""
    start = rng.integer(10, 50) + 0.5  # 除以 64 之後小於 1
    made = scaler(init_scale=start, growth_factor=2.0, backoff_factor=0.25, growth_interval=3)
    found = scales_after(made, parameters(), [None, None, INF, None, None, NAN, INF, None, None, None, None], rng)
    expected = [
        start * factor for factor in (1, 1, 1 / 4, 1 / 4, 1 / 4, 1 / 16, 1 / 64, 1 / 64, 1 / 64, 1 / 32, 1 / 32)
    ]
    what = "backoff_factor=0.25、growth_interval=3，第 3、6、7 次溢位時，每次迭代之後的 scale"
    assert_close(found, expected, rtol=1e-6, what=what)


@pytest.mark.behaviour
@pytest.mark.parametrize("poison", [INF, -INF, NAN])
def test_skip(scaler, parameters, rng, poison):
    """一個元素是 inf 或 NaN 就跳過"""
    made, given = scaler(init_scale=float(rng.integer(100, 500))), parameters()
    optimizer = sgd(given)
    backward(made, given, coefficients(rng))
    made.step(optimizer)
    made.update()
    before = values(given), [state["momentum_buffer"].clone() for state in optimizer.state.values()]
    backward(made, given, coefficients(rng), poison)
    stepped = made.step(optimizer)
    assert_close(values(given), before[0], rtol=0, atol=0, what=f"一個元素的梯度是 {poison} 時，step 之後的參數")
    momentum = [state["momentum_buffer"] for state in optimizer.state.values()]
    assert_close(momentum, before[1], rtol=0, atol=0, what="step 之後的 momentum")
    check(stepped is False, f"跳過時 step 應傳回 False，得到 {stepped}", [*before[0], str(stepped)])


@pytest.mark.behaviour
def test_huge_but_finite(scaler, parameters, rng):
    """有限但很大的梯度不跳過"""
    made, given = scaler(init_scale=1024.0), parameters()
    optimizer = sgd(given, lr=1e-36)
    backward(made, given, coefficients(rng))
    for parameter in given:
        parameter.grad.fill_(2.5e38)  # 加起來、平方都超過 float32 的範圍
    expected = [value.double() - 1e-36 * 2.5e38 / 1024 for value in values(given)]
    stepped = made.step(optimizer)
    assert_close(values(given), expected, what="梯度都是 2.5e38（有限）時，step 之後的參數")
    check(stepped is True, f"step 應傳回 True，得到 {stepped}", [*values(given), str(stepped)])
    made.update()
    assert_close(made.get_scale(), 1024.0, rtol=1e-6, what="之後的 scale")


@pytest.mark.behaviour
def test_underflow(scaler, rng):
    """1e-8 的 float16 梯度留得住"""
    made = scaler()
    weight = nn.Parameter(rng.uniform((4, 3), 0.5, 1.5))
    optimizer = torch.optim.SGD([weight], lr=1e6)
    (weight.half().float() * 1e-8).sum().backward()
    if weight.grad.any():
        fail("這台機器的 float16 梯度沒有下溢：評分本身的假設不成立", "no underflow")
    weight.grad = None
    before = weight.detach().clone()
    made.scale((weight.half().float() * 1e-8).sum()).backward()
    made.step(optimizer)
    # 梯度 6.5536e-4 存成 float16，相對誤差至多 2⁻¹¹。
    change = before - weight.detach()
    assert_close(change, torch.full_like(before, 1e-2), rtol=1e-3, atol=1e-6, what="梯度 1e-8、lr 1e6 的更新量")


@pytest.mark.behaviour
def test_unscale_then_step(scaler, parameters, rng):
    """unscale_ 之後的 step 不再除一次，用的是截斷後的梯度"""
    given, weights = parameters(), coefficients(rng)
    made, optimizer = scaler(init_scale=float(rng.integer(100, 500))), sgd(given)
    clipped = [c.double().clamp(max=0.9) for c in weights]
    expected = [p.detach().double() - 0.1 * grad for p, grad in zip(given, clipped, strict=True)]
    backward(made, given, weights)
    made.unscale_(optimizer)
    nn.utils.clip_grad_value_(given, 0.9)
    stepped = made.step(optimizer)
    assert_close(values(given), expected, what="截斷到 0.9 之後 step，參數")
    assert_close([p.grad for p in given], clipped, rtol=1e-5, what="step 之後的梯度（留給使用者清）")
    check(stepped is True, f"step 應傳回 True，得到 {stepped}", [*values(given), str(stepped)])


@pytest.mark.behaviour
def test_judged_when_unscaled(scaler, parameters, rng):
    """是否跳過看的是 unscale_ 當時的梯度"""
    given, start = parameters(), rng.integer(100, 500) + 0.5
    made, optimizer, before = scaler(init_scale=start), sgd(given), values(given)
    backward(made, given, coefficients(rng), INF)
    made.unscale_(optimizer)
    nn.utils.clip_grad_value_(given, 1.0)  # inf 成了 1.0
    made.step(optimizer)
    assert_close(values(given), before, rtol=0, atol=0, what="unscale_ 時有 inf、之後截斷，step 之後的參數")
    made.update()
    assert_close(made.get_scale(), start / 2, rtol=1e-6, what="之後的 scale")


@pytest.mark.behaviour
def test_unscale_twice(scaler, parameters, rng):
    """update 之前第二次 unscale_：RuntimeError"""
    made, given, others = scaler(init_scale=float(rng.integer(100, 500))), parameters(), parameters()
    optimizer, other, weights = sgd(given), sgd(others), coefficients(rng)
    for _ in range(2):
        backward(made, given, weights)
        backward(made, others, weights)
        made.unscale_(optimizer)
        made.unscale_(other)  # 另一個 optimizer，不算第二次
        with raises(RuntimeError):
            made.unscale_(optimizer)
        assert_close([p.grad for p in given], [c.double() for c in weights], rtol=1e-5, what="拋出例外之後的梯度")
        made.step(optimizer)
        made.step(other)
        made.update()  # 之後又可以


@pytest.mark.behaviour
def test_without_gradient(scaler, parameters, rng):
    """略過沒有梯度的參數"""
    made, given, weights = scaler(), parameters(), coefficients(rng)
    start = values(given)
    expected = [p.double() - 0.1 * c.double() for p, c in zip(start, weights, strict=True)]
    backward(made, given, weights)
    given[0].grad = None
    stepped = made.step(sgd(given))
    assert_close(values(given)[0], start[0], rtol=0, atol=0, what="沒有梯度的參數")
    check(given[0].grad is None, "沒有梯度的參數被填了 grad；.grad 是 None 的要略過", given[0].grad)
    assert_close(values(given)[1:], expected[1:], what="有梯度的參數")
    check(stepped is True, f"step 應傳回 True，得到 {stepped}", [*values(given), str(stepped)])


@pytest.mark.behaviour
@pytest.mark.parametrize("explicit", [False, True], ids=["step", "unscale"])
def test_all_without_gradient(scaler, parameters, explicit):
    """全都沒有梯度時照樣 step"""
    made, calls = scaler(), []
    optimizer = sgd(parameters())
    optimizer.register_step_pre_hook(lambda *_: calls.append("step"))
    if explicit:
        made.unscale_(optimizer)
    stepped = made.step(optimizer)
    assert_equal([calls, stepped], [["step"], True], what="[optimizer.step 的呼叫, 傳回值]")


@pytest.mark.behaviour
@pytest.mark.parametrize("bad", ["first", "second", "both"])
def test_two_optimizers(scaler, parameters, rng, bad):
    """各看各的梯度；任何一個溢位，scale 縮小一次"""
    start = rng.integer(100, 500) + 0.5
    made, models, weights = scaler(init_scale=start), [parameters(), parameters()], coefficients(rng)
    expected = []
    for given, name in zip(models, ("first", "second"), strict=True):
        skipped = bad in (name, "both")
        expected.append([p.double() - (0 if skipped else 0.1) * c for p, c in zip(values(given), weights, strict=True)])
        backward(made, given, weights, INF if skipped else None)
    optimizers = [sgd(given) for given in models]  # alive until update: an answer may hold them weakly
    for optimizer in optimizers:
        made.step(optimizer)
    assert_close([values(given) for given in models], expected, what="兩個 optimizer step 之後的參數")
    made.update()
    assert_close(made.get_scale(), start / 2, rtol=1e-6, what="update 之後的 scale")


@pytest.mark.behaviour
def test_growth_with_two_optimizers(scaler, parameters, rng):
    """數的是 update 的次數，不是 step 的"""
    start, models, weights = rng.integer(100, 500) + 0.5, [parameters(), parameters()], coefficients(rng)
    made, optimizers = scaler(init_scale=start, growth_interval=3), [sgd(given) for given in models]
    found = []
    for _ in range(4):
        for given, optimizer in zip(models, optimizers, strict=True):
            backward(made, given, weights)
            made.step(optimizer)
        made.update()
        found.append(made.get_scale())
    what = "growth_interval=3、兩個 optimizer 時，每次 update 之後的 scale"
    assert_close(found, [start, start, 2 * start, 2 * start], rtol=1e-6, what=what)


@pytest.mark.behaviour
def test_resume(scaler, parameters, rng):
    """存檔之後在新的物件上接續"""
    start = rng.integer(100, 500) + 0.5
    settings = {"growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 3}
    first, given = scaler(init_scale=start, **settings), parameters()
    scales_after(first, given, [None, INF, None, None], rng)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    try:
        state = torch.load(file)
    except Exception as error:
        fail(f"torch.load 讀不回 state_dict()：{str(error).strip().splitlines()[0]}", "unloadable")
    second = scaler(**settings)
    second.load_state_dict(state)
    found = [second.get_scale(), *scales_after(second, given, [None, None, INF], rng)]
    expected = [start * factor for factor in (1 / 4, 3 / 4, 3 / 4, 3 / 16)]
    assert_close(found, expected, rtol=1e-6, what="接續時、與之後每次迭代之後的 scale")
