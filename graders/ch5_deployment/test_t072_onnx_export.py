"""072 · 匯出 ONNX：評分

An export costs seconds: every check reads one of two, a convolutional model given in train mode with names of its own,
and a sequence model given in eval mode with the default names.
"""

import contextlib
import copy
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_type, check, fail, nn, shared_rng, torch, unchanged

BATCHES = (1, 3, 8)


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


@pytest.fixture(scope="module", params=["train", "eval"])
def exported(submission, request, tmp_path_factory):
    """A file that the answer wrote, and what is true of it."""
    rng = shared_rng(request)
    training = request.param == "train"
    model, shape = convolutional() if training else sequence()
    model = rng.fill_(model).to(rng.device).train(training)
    oracle = copy.deepcopy(model).double().eval()
    inputs = [rng.normal((batch, *shape)) for batch in BATCHES]
    with torch.no_grad():
        expected = [oracle(x.double()).cpu() for x in inputs]
    folder = tmp_path_factory.mktemp("onnx")
    path = folder / "classifier.onnx"
    names = {"input_name": "pixels", "output_name": "scores"} if training else {}
    example = rng.normal((4, *shape))
    watch, change = unchanged(model, example), None
    watch.__enter__()
    with contextlib.chdir(tmp_path_factory.mktemp("working")):
        returned = submission.export_onnx(model, example, path if training else str(path), **names)
        stray = os.listdir()
    try:
        watch.__exit__(None, None, None)
    except AssertionError as error:
        change = error
    return SimpleNamespace(
        path=path,
        returned=returned,
        names=("pixels", "scores") if training else ("input", "output"),
        shape=shape,
        inputs=[x.cpu().numpy() for x in inputs],
        expected=expected,
        change=change,
        stray=stray,
    )


def load(path):
    import onnx

    if not path.is_file():
        fail(f"沒有寫出 {path.name}", "no file")
    return onnx.load(path, load_external_data=False)


def session(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # The optimiser drops a dropout even where the file says that it is on.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        fail(f"onnxruntime 無法載入：{str(error)[:200]}", "not loaded")


@pytest.mark.behaviour
def test_checker(exported):
    """onnx.checker 接受這個檔案"""
    import onnx

    load(exported.path)
    try:
        onnx.checker.check_model(exported.path)
    except Exception as error:
        fail(f"onnx.checker 不接受：{str(error)[:200]}", "checker")


@pytest.mark.shape
def test_names(exported):
    """輸入與輸出的名稱"""
    graph = load(exported.path).graph
    weights = {weight.name for weight in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in weights]
    assert_equal(inputs, [exported.names[0]], "輸入的名稱")
    assert_equal([value.name for value in graph.output], [exported.names[1]], "輸出的名稱")


@pytest.mark.shape
def test_dynamic_batch(exported):
    """輸入的第 0 維是動態的，其餘與 example 相同"""
    dims = load(exported.path).graph.input[0].type.tensor_type.shape.dim
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]
    shown = "、".join("動態" if size is None else str(size) for size in sizes)
    check(sizes and sizes[0] is None, f"batch 被寫死成 {sizes[0] if sizes else '純量'}", f"shape {sizes}")
    check(sizes[1:] == list(exported.shape), f"輸入的形狀應為 動態、{exported.shape}，得到 {shown}", f"shape {sizes}")


@pytest.mark.numeric
def test_outputs(exported):
    """onnxruntime 在 batch 為 1、3、8 時的輸出與 eval 模式的模型相同"""
    load(exported.path)
    run = session(exported.path)
    name, results = run.get_inputs()[0].name, []
    for batch, x in zip(BATCHES, exported.inputs, strict=True):
        try:
            first, second = (run.run(None, {name: x})[0] for _ in range(2))
        except Exception as error:
            fail(f"batch 為 {batch} 時 onnxruntime 拒絕執行：{str(error)[:200]}", f"refused {batch}")
        if (first != second).any():
            fail("同一個輸入跑兩次，結果不同：dropout 還開著，要以 eval 模式匯出", "random")
        results.append(torch.from_numpy(first))
    assert_close(results, exported.expected, rtol=1e-4, atol=1e-4, what=f"輸出（batch 依序為 {BATCHES}）")


@pytest.mark.behaviour
def test_one_file(exported, tmp_path):
    """只有一個檔案，權重在裡面，搬到別處也能載入"""
    load(exported.path)
    found = sorted(path.name for path in exported.path.parent.iterdir())
    extra = [name for name in found if name != exported.path.name] + exported.stray
    check(not extra, f"除了 {exported.path.name} 還寫出 {'、'.join(extra)}", extra)
    session(Path(shutil.copy(exported.path, tmp_path)))


@pytest.mark.behaviour
def test_returned(exported):
    """傳回 Path"""
    assert_type(exported.returned, Path, "傳回值")
    assert_equal(str(exported.returned), str(exported.path), "傳回的路徑")


@pytest.mark.behaviour
def test_untouched(exported):
    """模型的模式、參數與範例輸入都和原來一樣"""
    if exported.change:
        raise exported.change
