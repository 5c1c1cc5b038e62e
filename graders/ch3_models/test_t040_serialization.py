"""040 · 模型的序列化和反序列化：評分"""

import copy
import io
import os
import pickle
import zipfile

import pytest

from torch_kata.checks import (
    assert_equal,
    assert_shape,
    assert_type,
    check,
    fail,
    fixture,
    nn,
    raises,
    torch,
    unchanged,
)


def build(hidden=5, extra=False):
    """有參數也有 buffer 的模型，初值每次不同。"""
    layers = [nn.Linear(3, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, 2)]
    return nn.Sequential(*layers, *([nn.Linear(2, 2)] if extra else []))


@pytest.fixture
def model(rng, device):
    """訓練模式、每個參數與 buffer 都不是初值的模型。"""
    filled = rng.fill_(build().to(device))
    filled[1].num_batches_tracked.fill_(17)
    return filled


def state_of(model):
    """state_dict 的副本，在 CPU 上。"""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def saved(thing):
    """torch.save 的 bytes。"""
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


@pytest.mark.numeric
def test_round_trip(submission, model, rng, device):
    """還原的模型與原來的逐位元相同"""
    x = rng.normal((4, 3))
    expected, state = copy.deepcopy(model).eval()(x).detach(), state_of(model)
    data = submission.serialize(model)
    rng.fill_(model)  # 原來的模型繼續訓練
    restored = submission.deserialize(build, data, device=device)
    assert_type(restored, nn.Module, "deserialize 的結果")
    assert_equal(state_of(restored), state, what="state_dict")
    assert_equal(restored.eval()(x).detach(), expected, what="輸出")


@pytest.mark.behaviour
def test_bytes(submission, model):
    """serialize 回傳 bytes，weights_only=True 打得開"""
    data = submission.serialize(model)
    check(type(data) is bytes, f"serialize 應回傳 bytes，得到 {type(data).__name__}", type(data).__name__)
    try:
        torch.load(io.BytesIO(data), weights_only=True)
    except Exception as error:
        kind = type(error).__name__
        fail(f"torch.load(…, weights_only=True) 打不開（{kind}）：裡面不只是張量與基本的容器", f"closed {kind}")


@pytest.mark.behaviour
def test_model_unchanged(submission, model, rng):
    """serialize 不改動模型、模式與 grad"""
    model[1].eval()  # 常見的微調：BatchNorm 凍結，其餘在訓練
    for parameter in model.parameters():
        parameter.grad = rng.normal(parameter.shape)
    with unchanged(model):
        submission.serialize(model)
    model.eval()
    with unchanged(model):
        submission.serialize(model)


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["rows", "columns", "buffer"])
def test_views(submission, model, rng, kind):
    """切片不把整塊 storage 拖進來"""
    wide = rng.normal((1000, 300))
    view = {
        "rows": wide.view(-1)[600:615].view(5, 3),  # 連續的切片：contiguous() 會原樣傳回
        "columns": wide[50:55, ::100],
        "buffer": wide[7, 20:25],
    }[kind]
    if kind == "buffer":
        model[1].running_mean = view
    else:
        model[0].weight = nn.Parameter(view)
    own = copy.deepcopy(model)  # deepcopy 也會帶著整塊 storage：換成自己的一塊
    if kind == "buffer":
        own[1].running_mean = view.clone()
    else:
        own[0].weight = nn.Parameter(view.clone())
    expected, state = len(submission.serialize(own)), state_of(own)
    data = submission.serialize(model)
    more = len(data) - expected
    message = f"參數自成一塊時是 {expected:,} bytes，是切片時卻是 {len(data):,} bytes：整塊 storage 被存進去了"
    check(abs(more) < 1024, message, f"{kind} {more // 1024} KiB more")
    assert_equal(state_of(submission.deserialize(build, data)), state, what="還原的 state_dict")


@pytest.mark.behaviour
def test_eval_mode(submission, model):
    """還原的模型是 eval 模式，每個子模組都是"""
    restored = submission.deserialize(build, submission.serialize(model))
    training = [name or "模型" for name, module in restored.named_modules() if module.training]
    check(not training, f"還原後仍在訓練模式：{training}", training)


@pytest.mark.behaviour
def test_device(submission, model, device):
    """還原的模型在所給的 device 上"""
    data = submission.serialize(model)
    default = submission.deserialize(build, data)
    assert_equal({p.device.type for p in default.parameters()}, {"cpu"}, what="預設的裝置")
    # 沒有 GPU 的機器上以 meta 代替：它有形狀、沒有值。先搬資料再載入的寫法在 meta 上會失敗，那也表示 device 用上了。
    other = "meta" if device.type == "cpu" else device.type
    try:
        restored = submission.deserialize(build, data, device=other)
    except (ValueError, RuntimeError) as error:
        if other != "meta" or str(error).startswith("TODO"):
            raise
        return
    found = {tensor.device.type for tensor in restored.state_dict().values()}
    assert_equal(found, {other}, what=f'device="{other}" 時的裝置')


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["missing", "unexpected"])
def test_keys(submission, rng, kind):
    """缺少或多出的鍵：ValueError，訊息含鍵名"""
    small, large = build, lambda: build(extra=True)
    given, factory = (small, large) if kind == "missing" else (large, small)
    data = submission.serialize(rng.fill_(given()))
    with raises(ValueError, "4.weight", "4.bias"):
        submission.deserialize(factory, data)


@pytest.mark.behaviour
def test_other_shapes(submission, rng):
    """形狀不同：ValueError，訊息含鍵名"""
    data = submission.serialize(rng.fill_(build(hidden=6)))
    with raises(ValueError, "0.weight", "1.running_mean", "3.weight"):
        submission.deserialize(build, data)


def refuses(submission, data):
    """deserialize 拋出 ValueError，訊息不是空的。"""

    def deserialize():
        try:
            submission.deserialize(build, data)
        except ValueError as error:
            # torch.load of nothing at all gives an EOFError without a message, which an answer may pass on.
            check(str(error).strip() or not data, "ValueError 沒有訊息：要說出問題", "silent")
            raise

    with raises(ValueError):
        deserialize()


@pytest.mark.behaviour
@pytest.mark.parametrize("kept", ["nothing", "10 bytes", "half", "all but 1"])
def test_truncated(submission, model, kept):
    """截斷的資料：ValueError"""
    data = submission.serialize(model)
    end = {"nothing": 0, "10 bytes": 10, "half": len(data) // 2, "all but 1": len(data) - 1}[kept]
    refuses(submission, data[:end])


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["text", "photo", "zip", "pickle", "module", "list", "checkpoint"])
def test_foreign(submission, model, kind):
    """別種格式的資料：ValueError"""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("model/weights.txt", "0.5")
    data = {
        "text": b"0.weight: 0.5, 0.25",
        "photo": fixture("photos/pagoda.jpg").read_bytes(),
        "zip": archive.getvalue(),
        "pickle": pickle.dumps({"0.weight": [0.5, 0.25]}, protocol=2),
        "module": saved(model),
        "list": saved(list(model.state_dict().values())),
        "checkpoint": saved({"epoch": 3, "loss": 0.25}),
    }[kind]
    refuses(submission, data)


@pytest.mark.behaviour
def test_no_code_runs(submission, model, tmp_path):
    """不執行 data 裡夾帶的程式"""
    mark = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(mark),)

    for data in (saved({**state_of(model), "bomb": Bomb()}), pickle.dumps(Bomb(), protocol=2)):
        try:
            with raises(ValueError):
                submission.deserialize(build, data)
        finally:
            check(not mark.exists(), "data 裡夾帶的程式被執行了：torch.load 要用 weights_only=True", "ran")


@pytest.mark.shape
def test_unusual_models(submission, rng, device):
    """沒有參數的、0 維的、float64 與 bfloat16 的模型"""

    def scalar():
        module = nn.Module()
        module.register_buffer("count", torch.tensor(3, dtype=torch.int64))
        module.scale = nn.Parameter(torch.tensor(0.5, dtype=torch.bfloat16))
        module.bias = nn.Parameter(torch.zeros(2, 0, 3, dtype=torch.float64))
        module.weight = nn.Parameter(torch.zeros(2, 3, dtype=torch.float64))
        return module

    given = rng.fill_(scalar().to(device))
    given.count.fill_(41)
    given.weight.data = rng.normal((2, 3), dtype="float64")  # fill_ draws what float32 can hold
    state = state_of(given)
    restored = submission.deserialize(scalar, submission.serialize(given))
    assert_shape(restored.scale, (), "scale ")
    assert_equal(state_of(restored), state, what="state_dict")
    assert_equal(
        state_of(submission.deserialize(nn.ReLU, submission.serialize(nn.ReLU()))), {}, what="ReLU 的 state_dict"
    )
