"""092 · 靜態量化：評分

A classifier of real digits is trained and quantized once, in fixtures; what is judged is bytes, accuracy and signal to
noise, on the CPU, whatever the way.
"""

import copy
import io
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    Adam,
    F,
    assert_close,
    assert_dtype,
    assert_equal,
    assert_shape,
    assert_type,
    check,
    held_bytes,
    nn,
    raises,
    shared_rng,
    torch,
    unchanged,
)

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def digits(request):
    """訓練好的 (64 → 256 → 256 → 10) 模型、校正資料、測試資料與原來的輸出。"""
    from sklearn.datasets import load_digits

    rng = shared_rng(request)
    data = load_digits()
    order = rng.permutation(len(data.target)).cpu()
    x, y = torch.tensor(data.data / 16, dtype=torch.float32)[order], torch.tensor(data.target)[order]
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(rng.normal(parameter.shape).cpu() * (2 / parameter.shape[-1]) ** 0.5)
    optimizer = Adam(model.parameters(), lr=3e-3)
    for batch in rng.integers(0, 1200, (50, 200)).cpu():
        optimizer.step(F.cross_entropy(model(x[batch]), y[batch]))
    model.requires_grad_(True).eval().zero_grad(set_to_none=True)
    tiny = torch.full((3, 64), 0.0005)
    return SimpleNamespace(
        model=model,
        twin=copy.deepcopy(model),
        batches=list(x[:128].split(32)),
        x=x[1200:],
        labels=y[1200:],
        outputs=run(model, x[1200:]),
        tiny=tiny,
        difference=run(model, tiny) - run(model, torch.zeros_like(tiny)),
        size=saved(model),
    )


@pytest.fixture(scope="module")
def quantized(submission, digits):
    """量化的模型，以及原來的模型有沒有被改。"""
    change, before = None, parts(digits.model)
    watch = unchanged(digits.model, *digits.batches)
    watch.__enter__()
    result = submission.quantize_static(digits.model, digits.batches)
    try:
        watch.__exit__(None, None, None)
    except AssertionError as error:
        change = error
    return SimpleNamespace(result=result, change=change, parts=before)


def parts(model):
    """每個模組的種類與屬性的名稱。"""
    return [(type(module).__name__, set(vars(module))) for module in model.modules()]


def saved(model):
    """torch.save 寫出的 byte 數。"""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return len(file.getvalue())


def run(model, x):
    with torch.no_grad():
        return model(x)


def decibels(found, expected):
    """訊雜比。"""
    return 10 * torch.log10(expected.square().sum() / (found - expected).square().sum()).item()


@pytest.mark.shape
def test_output(digits, quantized):
    """輸出的形狀與 dtype"""
    assert_type(quantized.result, nn.Module, what="quantize_static 的結果")
    for count in (2, 37):
        out = run(quantized.result, digits.x[:count])
        assert_shape(out, (count, 10), what="量化後的輸出")
        assert_dtype(out, "float32", what="量化後的輸出")


@pytest.mark.numeric
def test_accuracy(digits, quantized):
    """準確率最多比 float32 低 2 個百分點"""
    out = run(quantized.result, digits.x)
    before, after = ((y.argmax(1) == digits.labels).double().mean().item() for y in (digits.outputs, out))
    message = f"597 張手寫數字的準確率由 {before:.1%} 變成 {after:.1%}，最多掉 2 個百分點"
    check(after >= before - 0.02, message, out)


@pytest.mark.numeric
def test_signal_to_noise(digits, quantized):
    """訊雜比至少 20 dB"""
    # torch.ao 36 至 38（activation 只用 7 位元），逐列的 scale 50 以上；沒有校正約 5。
    out = run(quantized.result, digits.x)
    found = decibels(out, digits.outputs)
    check(found >= 20, f"量化後的訊雜比是 {found:.1f} dB，至少要 20 dB", out)


@pytest.mark.behaviour
def test_size(digits, quantized):
    """存檔不超過原來的 35%，也不留 float 的權重"""
    ratio = saved(quantized.result) / digits.size
    check(ratio <= 0.35, f"量化後存檔是原來的 {ratio:.1%}，上限是 35%", round(ratio, 4))
    held = held_bytes(quantized.result) / digits.size
    check(held <= 0.35, f"量化後還留著原來 {held:.1%} 的張量：float 的權重沒有丟掉", round(held, 4))


@pytest.mark.behaviour
def test_calibration(submission, digits):
    """用小 20 倍的資料校正，正常的輸入就被截掉"""
    # 截在正確範圍的 1/20：torch.ao 約 1 dB，PT2E 約 0.7。範圍若不看校正資料，或根本不量化 activation，則在 30 以上。
    result = submission.quantize_static(copy.deepcopy(digits.twin), [batch / 20 for batch in digits.batches])
    out = run(result, digits.x)
    found = decibels(out, digits.outputs)
    check(found < 5, f"校正資料小 20 倍，訊雜比仍有 {found:.1f} dB：activation 的範圍沒有照校正資料定", out)


@pytest.mark.behaviour
def test_every_batch(submission, digits):
    """校正看了每一個 batch"""
    # 頭尾兩個 batch 小 20 倍，中間的照舊。HistogramObserver、MinMax 都在 30 以上；只看頭或尾的不到 5。
    first, *middle, last = digits.batches
    model = submission.quantize_static(copy.deepcopy(digits.twin), [first / 20, *middle, last / 20])
    out = run(model, digits.x)
    found = decibels(out, digits.outputs)
    check(found >= 20, f"第一個與最後一個 batch 小 20 倍時，訊雜比只有 {found:.1f} dB：範圍要看每一個 batch", out)


@pytest.mark.behaviour
def test_every_layer(submission, rng):
    """中間各層的 activation 也照校正資料定"""
    # 輸入都在 0 到 1，但校正資料每一列只有一個 1：隱藏層小了 30 倍。torch.ao、PT2E 不到 1 dB，只量化輸入的 60 以上。
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            low, high = (0.5, 1) if parameter.dim() == 2 else (0, 0.01)
            parameter.copy_(rng.uniform(parameter.shape, low, high).cpu())
    x = rng.uniform((40, 64)).cpu()
    expected = run(model, x)
    out = run(submission.quantize_static(model, list(torch.eye(64).split(16))), x)
    found = decibels(out, expected)
    check(found < 5, f"校正時隱藏層的值小 30 倍，訊雜比仍有 {found:.1f} dB：隱藏層沒有照校正資料量化", out)


@pytest.mark.behaviour
def test_activations(digits, quantized):
    """activation 是 8 位元：比一步小得多的輸入看不見"""
    # 校正資料在 0 到 1，一步至少 1/255；0.0005 捨入成 0。
    found = run(quantized.result, digits.tiny) - run(quantized.result, torch.zeros_like(digits.tiny))
    kept = ((found - digits.difference).norm() / digits.difference.norm()).item()
    check(kept > 0.5, "0.0005 的輸入還看得見：activation 沒有量化成 8 位元", found)


@pytest.mark.behaviour
def test_original(digits, quantized):
    """原來的模型沒有變"""
    if quantized.change:
        raise quantized.change
    now, before = parts(digits.model), quantized.parts
    kinds = [kind for kind, _ in now]
    check(kinds == [kind for kind, _ in before], f"原來的模型裡的模組換掉了：{kinds}", "kinds")
    added = sorted(set().union(*(names - had for (_, names), (_, had) in zip(now, before, strict=True))))
    check(not added, f"原來的模型上多了屬性 {'、'.join(added)}", "attributes")
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in digits.model.modules())
    check(not hooks, f"原來的模型上留下了 {hooks} 個 hook", "hooks")
    assert_close(run(digits.model, digits.x), digits.outputs, what="原來的模型的輸出")


@pytest.mark.behaviour
def test_no_batches(submission, digits):
    """沒有校正資料：ValueError"""
    with raises(ValueError):
        submission.quantize_static(digits.twin, [])


@pytest.mark.behaviour
def test_training_mode(submission):
    """模型在 train 模式：ValueError，而且不改模式"""
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10)).train()
    with unchanged(model), raises(ValueError):
        submission.quantize_static(model, [torch.ones(4, 64)])


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["float", "quantized"])
def test_size_report(submission, digits, request, kind):
    """size_report 的三個欄位"""
    if kind == "quantized":
        original, small = digits.twin, request.getfixturevalue("quantized").result
    else:
        # 存檔裡有檔名，名稱的長短使大小差到 0.6%：模型要夠大。
        original, small = nn.Sequential(nn.BatchNorm1d(9000), nn.Linear(90, 70)), nn.Linear(80, 150)
    sizes = {"original_bytes": saved(original), "quantized_bytes": saved(small)}
    report = submission.size_report(original, small)
    found = {name: getattr(report, name) for name in (*sizes, "ratio")}
    assert_equal([type(found[name]).__name__ for name in sizes], ["int", "int"], "兩個 byte 數的型別")
    ratio = sizes["quantized_bytes"] / sizes["original_bytes"]
    assert_close(found, {**sizes, "ratio": ratio}, rtol=0.01, atol=0, what="size_report ")
