"""073 · torch.jit.trace：評分

Two models are traced once each and every check about a success reads them; one new process loads both files.
"""

import contextlib
import copy
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_type,
    check,
    fail,
    nn,
    run_python,
    shared_rng,
    torch,
    unchanged,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated, and tracers warn

BATCHES = (1, 3, 8)
LOAD = """
import sys, torch
folder, outputs = sys.argv[1], {}
for name, inputs in torch.load(f"{folder}/inputs.pt").items():
    module = torch.jit.load(f"{folder}/{name}.pt", map_location="cpu")
    outputs[name] = [module(x).detach() for x in inputs]
torch.save(outputs, f"{folder}/outputs.pt")
"""


def convolutional():
    """(B, 3, 7, 6) -> (B, 4)"""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 5, (3, 2)), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.5))
            self.head = nn.Linear(5 * 5 * 5, 4)

        def forward(self, x):
            return self.head(self.features(x).reshape(x.shape[0], -1))

    return Network(), (3, 7, 6)


def sequence():
    """(B, 9, 6) -> (B, 2)"""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(6, 11), nn.GELU(), nn.Dropout(0.5), nn.LayerNorm(11), nn.Linear(11, 2)
            )

        def forward(self, x):
            return self.layers(x).mean(dim=1)

    return Network(), (9, 6)


def faulty(kind):
    """(B, 5) -> (B, 3): a model that a trace misses; its example has positive numbers only."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.dropout = nn.Linear(5, 3), nn.Dropout(0.5)

        def forward(self, x):
            y = self.dropout(self.layer(x))
            if kind == "branch":  # depends on the data; of the last row two elements, which are zero else, show it
                first, last = torch.tensor([[1.0, 0, 0], [0, 0.05, -0.05]], device=x.device)
                y = first * y
                return y if x.min() > 0 else torch.cat([y[:-1], y[-1:] + last])
            if kind == "expand":  # always four rows, all equal: they broadcast against a batch of one
                return y.mean(0, keepdim=True).expand(int(x.shape[0]), 3)
            if kind == "length":  # the same batch of 4 in every later result, without an error
                return y + float(len(x))
            return y + torch.zeros(int(x.shape[0]), 3, device=x.device)  # "size": fails with another batch

    return Network()


def pair(rng, kind):
    """An example, an input on which the trace of faulty(kind) is right, and one that exposes it."""
    rows = 200 if kind == "branch" else 4  # a mean over so many hides what two elements show
    example, good = rng.uniform((rows, 5), 0.1, 1), rng.uniform((rows, 5), 0.1, 1)
    bad = -good if kind == "branch" else rng.uniform((1 if kind == "expand" else 7, 5), 0.1, 1)
    return example, good, bad


@pytest.fixture(scope="module")
def traced(submission, request, tmp_path_factory):
    """By name: what the answer returned and wrote, and what is true of it."""
    rng, folder, results = shared_rng(request), tmp_path_factory.mktemp("traced"), {}
    for name, make in (("train", convolutional), ("eval", sequence)):
        model, shape = make()
        model = rng.fill_(model, 0.2).to(rng.device).train(name == "train")
        if name == "train":
            model.features[1].eval()  # a frozen batch norm, as in fine-tuning
        oracle = copy.deepcopy(model).double().eval()
        inputs = [rng.normal((batch, *shape)) for batch in BATCHES]
        with torch.no_grad():
            expected = [oracle(x.double()) for x in inputs]
        path, example = folder / f"{name}.pt", rng.normal((4, *shape))
        checks = {} if name == "train" else {"check_inputs": (rng.normal((batch, *shape)) for batch in (2, 5))}
        watch, change = unchanged(model, example), None
        watch.__enter__()
        module = submission.trace_model(model, example, path if name == "train" else str(path), **checks)
        try:
            watch.__exit__(None, None, None)
        except AssertionError as error:
            change = error
        results[name] = SimpleNamespace(module=module, path=path, inputs=inputs, expected=expected, change=change)
    return results


def assert_agrees(module, result, what):
    """The module says what the model says, twice."""
    pairs = []
    with torch.no_grad():
        for batch, x in zip(BATCHES, result.inputs, strict=True):
            try:
                pairs.append((module(x), module(x)))
            except Exception as error:
                last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                fail(f"{what}在 batch 為 {batch} 時拋出 {last[:200]}", f"refused {batch}")
    if any((first != second).any() for first, second in pairs):
        fail("同一個輸入跑兩次，結果不同：dropout 還開著，要以 eval 模式 trace", "random")
    firsts = [first for first, _ in pairs]
    assert_close(firsts, result.expected, rtol=1e-5, atol=1e-5, what=f"{what}的輸出（batch 依序為 {BATCHES}）")


def assert_file_agrees(result):
    name = result.path.name
    check(result.path.is_file(), f"沒有寫出 {name}", "no file")
    try:
        module = torch.jit.load(result.path, map_location=result.inputs[0].device)
    except Exception as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        fail(f"torch.jit.load 讀不了 {name}：{last[:200]}", "not loaded")
    assert_agrees(module, result, f"從 {name} 載入的模型")


def modes(test):
    return pytest.mark.parametrize("mode", ["train", "eval"])(test)


@pytest.mark.numeric
@modes
def test_agrees(traced, mode):
    """傳回的 ScriptModule 在 batch 為 1、3、8 時與 eval 模式的模型相同"""
    assert_type(traced[mode].module, torch.jit.ScriptModule, "傳回值")
    assert_agrees(traced[mode].module, traced[mode], "傳回的 ScriptModule ")


@pytest.mark.numeric
@modes
def test_file(traced, mode):
    """從檔案載入的模型也相同"""
    assert_file_agrees(traced[mode])


@pytest.mark.behaviour
def test_new_process(traced):
    """檔案在沒有模型程式碼的新行程裡載入，結果也相同"""
    for result in traced.values():
        assert_file_agrees(result)  # a new process takes seconds: only for what runs here
    folder = traced["train"].path.parent
    torch.save({name: [x.cpu() for x in result.inputs] for name, result in traced.items()}, folder / "inputs.pt")
    run_python(LOAD, str(folder))
    outputs = torch.load(folder / "outputs.pt")
    for name, result in traced.items():
        expected = [value.cpu() for value in result.expected]
        assert_close(outputs[name], expected, rtol=1e-5, atol=1e-5, what="新行程裡的輸出")


@pytest.mark.behaviour
@modes
def test_untouched(traced, mode):
    """成功之後，模型的參數、buffer 與每個子模組的模式都和原來一樣"""
    if traced[mode].change:
        raise traced[mode].change


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["branch", "length", "size", "expand"])
@pytest.mark.parametrize("position", [0, 1])
def test_refuses(submission, rng, tmp_path, kind, position):
    """check_inputs 使 trace 露出馬腳：ValueError"""
    model = rng.fill_(faulty(kind)).to(rng.device)
    example, good, bad = pair(rng, kind)
    inputs = [bad, good] if position == 0 else [good, bad]
    try:
        submission.trace_model(model, example, tmp_path / "model.pt", check_inputs=iter(inputs))
    except (ValueError, NotImplementedError) as error:
        if isinstance(error, NotImplementedError):
            raise
    except Exception as error:
        # torch's own messages hold whole graphs and paths, so the kind of the error is the evidence.
        text = " ".join(str(error).split())[:200]
        fail(f"應拋出 ValueError，卻拋出 {type(error).__name__}: {text}", f"raised {type(error).__name__}")
    else:
        fail(f"第 {1 if inputs[1] is bad else 0} 個 check_inputs 的結果與原模型不同，卻沒有拋出 ValueError", "accepted")


@pytest.mark.behaviour
@pytest.mark.parametrize("before", ["missing", "written"])
def test_path_untouched(submission, rng, tmp_path, before):
    """被拒絕時 path 維持原樣"""
    model, path = rng.fill_(faulty("length")).to(rng.device), tmp_path / "model.pt"
    example, _, bad = pair(rng, "length")
    if before == "written":
        path.write_bytes(b"yesterday's model")
    with contextlib.suppress(ValueError):
        submission.trace_model(model, example, path, check_inputs=[bad])
    content = path.read_bytes() if path.exists() else None
    wanted = b"yesterday's model" if before == "written" else None
    now = "不見了" if content is None else "內容變了"
    check(content == wanted, f"check_inputs 不符，path {now if wanted else '卻寫出了檔案'}", f"{content is None}")
    others = [each.name for each in tmp_path.iterdir() if each != path]
    check(not others, f"check_inputs 不符，資料夾裡卻留下了 {'、'.join(others)}", "left over")


@pytest.mark.behaviour
def test_untouched_after_error(submission, rng, tmp_path):
    """被拒絕之後，模型與每個子模組的模式也都和原來一樣"""
    model = rng.fill_(faulty("branch")).to(rng.device)
    model.layer.eval()
    example, _, bad = pair(rng, "branch")
    with unchanged(model, example, bad), contextlib.suppress(ValueError):
        submission.trace_model(model, example, tmp_path / "model.pt", check_inputs=[bad])


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["branch", "length"])
def test_accepts(submission, rng, tmp_path, kind):
    """check_inputs 都相符就成功，即使 trace 時有警告"""
    model = rng.fill_(faulty(kind)).to(rng.device)
    example, good, _ = pair(rng, kind)
    try:
        module = submission.trace_model(model, example, tmp_path / "model.pt", check_inputs=[good])
    except NotImplementedError:
        raise
    except Exception as error:
        fail(f"check_inputs 與原模型相符，卻拋出 {type(error).__name__}: {str(error)[:200]}", "refused")
    assert_type(module, torch.jit.ScriptModule, "傳回值")
    found = sorted(path.name for path in tmp_path.iterdir())
    check(found == ["model.pt"], f"應只寫出 model.pt，資料夾裡卻是 {found}", found)
