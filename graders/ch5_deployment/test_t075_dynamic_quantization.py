"""075 · 動態量化：評分

The models are quantized once, in a fixture; what is judged is bytes and signal to noise, on the CPU, whatever the way.
"""

import contextlib
import io
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_dtype,
    assert_shape,
    assert_type,
    check,
    fail,
    held_bytes,
    nn,
    shared_rng,
    torch,
    unchanged,
)

pytestmark = pytest.mark.filterwarnings("ignore")

NAMES = {"mlp": "Linear 的模型", "lstm": "LSTM 的模型"}
MODELS = pytest.mark.parametrize("name", list(NAMES))


def perceptron():
    """(B, 300) -> (B, 256)，沒有 bias：輸入放大幾倍，輸出就放大幾倍。"""
    inner = nn.Sequential(nn.ReLU(), nn.Linear(320, 256, bias=False))
    return nn.Sequential(nn.Linear(300, 320, bias=False), inner)


def tagger():
    """(B, T, 48) -> (B, T + 1, 7)"""

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(48, 160, batch_first=True)
            self.head = nn.Linear(160, 7)

        def forward(self, x):
            out, (hidden, _) = self.lstm(x)
            return self.head(torch.cat([out, hidden[-1].unsqueeze(1)], dim=1))

    return Tagger()


def saved_bytes(model):
    """torch.save 寫出的 byte 數。"""
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return len(file.getvalue())


def decibels(found, expected):
    """訊雜比。"""
    found, expected = found.detach().double(), expected.double()
    return 10 * torch.log10(expected.square().sum() / (found - expected).square().sum()).item()


def fill(model, rng):
    """常態的權重，每一層的輸出與輸入差不多大。"""
    with torch.no_grad():
        for parameter in model.parameters():
            std = parameter.shape[-1] ** -0.5 if parameter.dim() > 1 else 0.3
            parameter.copy_(rng.normal(parameter.shape).cpu() * std)
        if hasattr(model, "lstm"):
            model.lstm.weight_ih_l0[:, ::8] = 0  # outliers there must not saturate the gates
    return model


@pytest.fixture(scope="module")
def quantized(submission, request):
    """quantized[name]：原來的模型、量化的模型、原來的模型有沒有被改、輸入與原來的輸出。"""
    rng, records = shared_rng(request), {}
    for name, model, shape in (("mlp", perceptron(), (40, 300)), ("lstm", tagger(), (16, 11, 48))):
        model, x, change = fill(model, rng).train(name == "lstm"), rng.normal(shape).cpu(), None
        kinds = [type(module) for module in model.modules()]
        outliers = torch.zeros_like(x)
        outliers[..., ::8] = 3000 * x[..., ::8].sign()
        mixed = torch.where(outliers == 0, x, outliers)
        with torch.no_grad():
            expected, difference = model(x), model(mixed) - model(outliers)
        size, watch = saved_bytes(model), unchanged(model)
        watch.__enter__()
        result = submission.quantize_dynamic_int8(model)
        try:
            watch.__exit__(None, None, None)
        except AssertionError as error:
            change = error
        records[name] = SimpleNamespace(
            model=model,
            result=result,
            change=change,
            kinds=kinds,
            size=size,
            x=x,
            expected=expected,
            mixed=mixed,
            outliers=outliers,
            difference=difference,
        )
    return records


def run(record, x):
    with torch.no_grad():
        return record.result(x)


@pytest.mark.shape
@MODELS
def test_output(quantized, name):
    """輸出的形狀與 dtype"""
    record = quantized[name]
    assert_type(record.result, nn.Module, what="quantize_dynamic_int8 的結果")
    out = run(record, record.x)
    assert_shape(out, record.expected.shape, what="量化後的輸出")
    assert_dtype(out, "float32", what="量化後的輸出")


@pytest.mark.numeric
@MODELS
def test_signal_to_noise(quantized, name):
    """訊雜比至少 25 dB"""
    # torch.ao 在這兩個模型上是 32 ± 0.3 與 35 ± 1.8 dB，逐列、逐 channel 的 scale 約 40；權重只有 16 階時約 15。
    record = quantized[name]
    out = run(record, record.x)
    found = decibels(out, record.expected)
    check(found >= 25, f"{NAMES[name]}量化後的訊雜比是 {found:.1f} dB，至少要 25 dB", out)


@pytest.mark.numeric
@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_other_ranges(quantized, factor):
    """輸入放大或縮小一百倍，訊雜比仍至少 25 dB"""
    record = quantized["mlp"]
    out = run(record, factor * record.x)
    found = decibels(out, factor * record.expected)
    check(found >= 25, f"輸入乘以 {factor:g} 時訊雜比是 {found:.1f} dB，至少要 25 dB：範圍要看當下的輸入", out)


@pytest.mark.behaviour
@MODELS
def test_size(quantized, name):
    """存檔是原來的 15% 到 32%，也不留 float 的權重"""
    record = quantized[name]
    ratio = saved_bytes(record.result) / record.size
    check(ratio <= 0.32, f"{NAMES[name]}量化後存檔是原來的 {ratio:.1%}，上限是 32%", round(ratio, 4))
    # Eight bits are a quarter; five, fewer than which do not reach 25 dB, are still 16%.
    lost = f"{NAMES[name]}量化後存檔只剩原來的 {ratio:.1%}：量化後的權重不在 state_dict 裡，存了也載不回來"
    check(ratio >= 0.15, lost, round(ratio, 4))
    held = held_bytes(record.result) / record.size
    check(held <= 0.32, f"{NAMES[name]}量化後還留著原來 {held:.1%} 的張量：float 的權重沒有丟掉", round(held, 4))


@pytest.mark.behaviour
@MODELS
def test_activations(quantized, name):
    """activation 也量化了：離群值旁邊的小元素看不見"""
    # 每 8 個元素有一個 ±3000：8 位元的一步在 12 以上，其餘的 1 左右都捨入成 0。LSTM 在離群值那幾行的權重是 0。
    record = quantized[name]
    found, wanted = run(record, record.mixed) - run(record, record.outliers), record.difference
    kept = ((found - wanted).norm() / wanted.norm()).item()
    message = f"{NAMES[name]}：離群值旁邊的小元素還看得見，activation 沒有量化成 8 位元，只量化了權重"
    check(kept > 0.5, message, round(kept, 3))


@pytest.mark.behaviour
@MODELS
def test_original(quantized, name):
    """原來的模型沒有變"""
    record = quantized[name]
    if record.change:
        raise record.change
    kinds = [type(module) for module in record.model.modules()]
    check(record.result is not record.model, "傳回的就是原來的模型；要傳回新的", "same")
    check(kinds == record.kinds, f"原來的模型裡的模組換掉了：{[kind.__name__ for kind in kinds]}", "kinds")


# 存檔裡有檔名，名稱的長短使大小差到 0.6%：模型要夠大。


def plain():
    return nn.Sequential(nn.Linear(170, 90), nn.ReLU(), nn.Linear(90, 9))


def with_buffers():
    return nn.Sequential(nn.BatchNorm1d(12000, affine=False), nn.Linear(30, 20))


def shared():
    model = nn.Sequential(nn.Embedding(300, 50), nn.Linear(50, 300, bias=False))
    model[1].weight = model[0].weight
    return model


def many():
    return nn.Sequential(*[nn.Linear(50, 50) for _ in range(12)])


@pytest.mark.numeric
@pytest.mark.parametrize("make", [plain, with_buffers, shared, many], ids=["plain", "buffers", "shared", "many"])
def test_model_size(submission, make, tmp_path):
    """model_size_bytes 是實際存檔的大小，量完不留下檔案"""
    model = make()
    with contextlib.chdir(tmp_path):
        found = submission.model_size_bytes(model)
    judge_size(found, saved_bytes(model))
    left = [path.name for path in tmp_path.iterdir()]
    check(not left, f"model_size_bytes 在工作目錄留下了 {'、'.join(left)}", "left over")


@pytest.mark.numeric
@MODELS
def test_size_of_quantized(submission, quantized, name):
    """量化過的模型也量得出來"""
    with torch.random.fork_rng():  # 有的類別第一次存檔才匯入自己的模組
        size = saved_bytes(quantized[name].result)
    judge_size(submission.model_size_bytes(quantized[name].result), size)


def judge_size(found, expected):
    if type(found) is not int:
        fail(f"model_size_bytes 應傳回 int，得到 {type(found).__name__}", type(found).__name__)
    off = found / expected - 1
    message = f"存檔是 {expected} bytes，model_size_bytes 傳回 {found}（差 {off:+.1%}）"
    check(abs(off) <= 0.01, message, round(off, 4))
