"""074 · onnxruntime 推理：評分

The files are written with onnx alone, so no exporter is involved; the truth is the same network in float64.
"""

import contextlib
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from torch_kata.checks import F, assert_close, assert_equal, assert_type, check, fail, np, raises, torch, unchanged

HEAD = '<ir_version: 8, opset_import: ["": 17]>'
# (batch, 3, 17, 13) -> (batch, 4)
CONVOLUTIONAL = f"""{HEAD} g (float[n, 3, 17, 13] pixels) => (float[n, 4] scores) {{
    maps = Conv <kernel_shape = [3, 2]> (pixels, filters)
    active = Relu(maps)
    flat = Flatten(active)
    scores = MatMul(flat, head)
}}"""
# (batch, 5) -> (batch, 6), less the mean of the batch that the model is called with
CENTRED = f"""{HEAD} g (float[rows, 5] samples) => (float[rows, 6] centred) {{
    y = MatMul(samples, weight)
    mean = ReduceMean <axes = [0], keepdims = 1> (y)
    centred = Sub(y, mean)
}}"""
# (batch, steps, 5) -> (batch, steps, 6); the sizes that are free have a name, or none
NAMED = f"{HEAD} g (float[n, steps, 5] x) => (float[n, steps, 6] y) {{ y = MatMul(x, weight) }}"
UNNAMED = f"{HEAD} g (float[?, ?, 5] x) => (float[?, ?, 6] y) {{ y = MatMul(x, weight) }}"
# (23, 5) -> (23, 6): exported without a dynamic batch
FIXED = f"{HEAD} g (float[23, 5] x) => (float[23, 6] y) {{ y = MatMul(x, weight) }}"
# (batch, 64) -> (batch, 64): reads its input at the beginning and again at the end
LAYERS = 12
RESIDUAL = f"""{HEAD} g (float[rows, 64] x) => (float[rows, 64] y) {{
    h0 = Identity(x)
    {" ".join(f"m{i} = MatMul(h{i}, weight) h{i + 1} = Tanh(m{i})" for i in range(LAYERS))}
    y = Add(h{LAYERS}, x)
}}"""


def written(folder, text, **weights):
    """The path of a file with the graph and these weights."""
    import onnx

    model = onnx.parser.parse_model(text)
    for name, weight in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight.cpu().numpy(), name))
    path = folder / "classifier.onnx"
    onnx.save(model, path)
    return path


def convolutional(rng, folder):
    """The file, and what the network says, in float64."""
    filters, head = 0.3 * rng.normal((5, 3, 3, 2)), 0.05 * rng.normal((5 * 15 * 12, 4))

    def truth(x):
        x = x.detach().double()
        return (F.conv2d(x, filters.double()).relu().flatten(1) @ head.double()).cpu().numpy()

    return SimpleNamespace(path=written(folder, CONVOLUTIONAL, filters=filters, head=head), truth=truth)


def centred(rng, folder):
    """The file, and what the network says of rows in batches of `size`, in float64."""
    weight = rng.normal((5, 6))

    def truth(x, size):
        y = x.double() @ weight.double()
        return torch.cat([part - part.mean(0) for part in y.split(size)]).cpu().numpy()

    return SimpleNamespace(path=written(folder, CENTRED, weight=weight), truth=truth)


@contextlib.contextmanager
def slow_runs():
    """Every run waits a moment first, so that whatever two threads share is overwritten in time to show."""
    import onnxruntime

    original = onnxruntime.InferenceSession.run

    def run(self, *args, **kwargs):
        time.sleep(0.002)
        return original(self, *args, **kwargs)

    onnxruntime.InferenceSession.run = run
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        onnxruntime.InferenceSession.run = original


@contextlib.contextmanager
def sessions():
    """The InferenceSessions that are made inside the block."""
    import onnxruntime

    made, original = [], onnxruntime.InferenceSession.__init__

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        made.append(self)

    onnxruntime.InferenceSession.__init__ = init
    try:
        yield made
    finally:
        onnxruntime.InferenceSession.__init__ = original


@pytest.mark.shape
@pytest.mark.parametrize("make", [convolutional, centred])
def test_names(submission, rng, tmp_path, make):
    """輸入與輸出的名稱是檔案裡的"""
    predictor = submission.OnnxPredictor(make(rng, tmp_path).path)
    inputs, outputs = (["pixels"], ["scores"]) if make is convolutional else (["samples"], ["centred"])
    assert_equal(list(predictor.input_names), inputs, "input_names")
    assert_equal(list(predictor.output_names), outputs, "output_names")


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["tensor", "array", "float64 tensor", "float64 array", "with gradient", "strided"])
def test_outputs(submission, rng, tmp_path, kind):
    """各種輸入的結果與 torch 相同"""
    model = convolutional(rng, tmp_path)
    dtype = "float64" if "float64" in kind else "float32"
    batches = (3, 1, 3)  # one of them again: a result must not change with a later call
    xs = [rng.normal((batch, 3, 17, 13), dtype=dtype, requires_grad=kind == "with gradient") for batch in batches]
    if kind == "strided":
        xs = [rng.normal((17, 3, 13, batch)).permute(3, 1, 0, 2) for batch in batches]
    expected = [model.truth(x) for x in xs]
    if "array" in kind:
        xs = [x.cpu().numpy() for x in xs]
    predictor = submission.OnnxPredictor(str(model.path))
    with unchanged(*xs):
        results = [predictor(x) for x in xs]
    assert_close(results, expected, rtol=1e-4, atol=1e-4, what=f"輸出（batch 依序為 {batches}）")
    for result in results:
        check(result.dtype == np.float32, f"輸出的 dtype 應為 float32，得到 {result.dtype}", str(result.dtype))


@pytest.mark.numeric
@pytest.mark.parametrize("rows, size, kind", [(10, 4, "tensor"), (9, 3, "array"), (5, 64, "tensor")])
def test_batches(submission, rng, tmp_path, rows, size, kind):
    """predict_batches 依序切批，最後一批可以不滿"""
    model = centred(rng, tmp_path)
    x = rng.normal((rows, 5), dtype="float64")
    expected = model.truth(x, size)
    x = x.cpu().numpy() if kind == "array" else x
    predictor = submission.OnnxPredictor(model.path)
    with unchanged(x):
        result = predictor.predict_batches(x, size)
    assert_close(result, expected, rtol=1e-4, atol=1e-4, what=f"{rows} 筆、batch_size={size} 的輸出")


@pytest.mark.numeric
def test_changed_input(submission, rng, tmp_path):
    """同一個 array 的內容改了，結果也跟著改"""
    model, x = centred(rng, tmp_path), rng.normal((4, 5)).cpu()
    given = x.numpy().copy()
    predictor = submission.OnnxPredictor(model.path)
    predictor(given)
    given[:] = x.flip(0) * 2
    expected = model.truth((x.flip(0) * 2).to(rng.device), 4)
    assert_close(predictor(given), expected, rtol=1e-4, atol=1e-4, what="內容改了之後的輸出")


@pytest.mark.behaviour
def test_one_session(submission, rng, tmp_path):
    """所有呼叫共用一個 InferenceSession"""
    model = centred(rng, tmp_path)
    with sessions() as made:
        predictor = submission.OnnxPredictor(model.path)
        for _ in range(3):
            predictor(rng.normal((4, 5)))
        predictor.predict_batches(rng.normal((7, 5)), 2)
    check(len(made) == 1, f"應只建立一個 InferenceSession，卻建了 {len(made)} 個", len(made))


@pytest.mark.behaviour
@pytest.mark.parametrize("order", ["CPU", "Azure CPU", "CPU Azure"])
def test_providers(submission, rng, tmp_path, order):
    """session 用的是指定的 providers"""
    import onnxruntime

    # CPU alone, and, where this onnxruntime has another that needs no device, that one before and after it.
    providers = [f"{name}ExecutionProvider" for name in order.split()]
    if not set(providers) <= set(onnxruntime.get_available_providers()):
        return
    model = centred(rng, tmp_path)
    with sessions() as made:
        submission.OnnxPredictor(model.path, providers=list(providers))(rng.normal((4, 5)))
    check(made, "沒有建立 InferenceSession", "no session")
    assert_equal(made[-1].get_providers(), providers, f"providers={providers} 時 session 的 providers")


@pytest.mark.behaviour
@pytest.mark.parametrize("method", ["call", "predict_batches"])
def test_wrong_size(submission, rng, tmp_path, method):
    """維度大小不對：ValueError，訊息寫出應有的與收到的"""
    predictor = submission.OnnxPredictor(convolutional(rng, tmp_path).path)
    with raises(ValueError, "17", "19"):
        if method == "call":
            predictor(rng.normal((2, 3, 19, 13)))
        else:
            predictor.predict_batches(rng.normal((5, 3, 19, 13)), 2)


@pytest.mark.behaviour
def test_fixed_batch(submission, rng, tmp_path):
    """batch 寫死在檔案裡：大小不對也是 ValueError"""
    weight, x = rng.normal((5, 6)), rng.normal((23, 5))
    expected = (x.double() @ weight.double()).cpu().numpy()
    predictor = submission.OnnxPredictor(written(tmp_path, FIXED, weight=weight))
    assert_close(predictor(x), expected, rtol=1e-4, atol=1e-4, what="batch 為 23 的輸出")
    with raises(ValueError, "23", "29"):
        predictor(rng.normal((29, 5)))


@pytest.mark.behaviour
@pytest.mark.parametrize("text", [NAMED, UNNAMED], ids=["named", "unnamed"])
def test_free_sizes(submission, rng, tmp_path, text):
    """沒有寫死的維度，多大都可以"""
    weight, xs = rng.normal((5, 6)), [rng.normal((3, 7, 5)), rng.normal((2, 4, 5))]
    expected = [(x.double() @ weight.double()).cpu().numpy() for x in xs]
    predictor = submission.OnnxPredictor(written(tmp_path, text, weight=weight))
    assert_close([predictor(x) for x in xs], expected, rtol=1e-4, atol=1e-4, what="輸出")


@pytest.mark.behaviour
@pytest.mark.parametrize("shape", [(2, 3), (3, 17, 13), (2, 3, 17, 13, 29)], ids=["less", "no batch", "more"])
def test_wrong_rank(submission, rng, tmp_path, shape):
    """維數不對：ValueError，訊息寫出應有的與收到的"""
    predictor = submission.OnnxPredictor(convolutional(rng, tmp_path).path)
    x, message = rng.normal(shape), ""
    with raises(ValueError):
        try:
            predictor(x)
        except ValueError as error:
            message = str(error)
            raise
    numbers = set(re.findall(r"\d+", message))
    named = ("17" in numbers or "4" in numbers) and (str(shape[-1]) in numbers or str(len(shape)) in numbers)
    check(named, f"訊息應寫出應有的形狀 (batch, 3, 17, 13) 與收到的 {shape}，得到「{message[:200]}」", "unnamed")


@pytest.mark.behaviour
def test_missing(submission, rng, tmp_path):
    """檔案不存在：FileNotFoundError"""
    submission.OnnxPredictor(convolutional(rng, tmp_path).path)
    with raises(FileNotFoundError):
        submission.OnnxPredictor(tmp_path / "nobody.onnx")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["cut short", "empty"])
def test_damaged(submission, rng, tmp_path, kind):
    """檔案損壞：ValueError"""
    path = convolutional(rng, tmp_path).path
    submission.OnnxPredictor(path)
    path.write_bytes(path.read_bytes()[:200] if kind == "cut short" else b"")
    with raises(ValueError):
        submission.OnnxPredictor(path)


@pytest.mark.behaviour
def test_threads(submission, rng, tmp_path):
    """4 個執行緒同時使用，各自得到自己的結果"""
    weight = 0.2 * rng.normal((64, 64))
    predictor = submission.OnnxPredictor(written(tmp_path, RESIDUAL, weight=weight))
    inputs, expected = [rng.normal((rows, 64)) for rows in (120, 150, 120, 150)], []
    for x in inputs:
        h = x.double()
        for _ in range(LAYERS):
            h = (h @ weight.double()).tanh()
        expected.append((h + x.double()).cpu().numpy())
    start = threading.Barrier(len(inputs))

    def repeat(x):
        start.wait(10)
        return [predictor(x) for _ in range(20)]

    with slow_runs(), ThreadPoolExecutor(len(inputs)) as executor:
        runs = [executor.submit(repeat, x) for x in inputs]
    wrong = []
    for number, (run, truth) in enumerate(zip(runs, expected, strict=True)):
        if error := run.exception():
            if isinstance(error, NotImplementedError):
                raise error
            fail(f"4 個執行緒同時使用時，其中一個拋出 {type(error).__name__}: {str(error)[:200]}", "raised")
        for result in run.result():
            assert_type(result, np.ndarray, "輸出")
            right = result.shape == truth.shape and np.allclose(result, truth, rtol=1e-4, atol=1e-4)
            wrong += [] if right else [(number, result.shape == truth.shape)]
    if wrong:
        told = f"4 個執行緒同時使用時，第 {wrong[0][0]} 個得到了不是自己的結果"
        fail(told, "mixed up" if all(alike for _, alike in wrong) else "mixed up with another shape")
