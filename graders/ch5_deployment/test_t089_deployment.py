"""089 · 模型的部署：評分

Two programs are exported once, from classes that nobody can import afterwards; one new process loads both files with
the answer's load_program and runs them.
"""

import contextlib
import copy
import importlib
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    assert_type,
    fail,
    raises,
    run_python,
    shared_rng,
    torch,
    unchanged,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.export warns about its own buffers

BATCHES = (1, 3, 8)
NAMES = pytest.mark.parametrize("name", ["four", "one"])  # the batch of the example
MODELS = '''
from torch import nn


class Convolutional(nn.Module):
    """(B, 3, 7, 6) -> (B, 4)"""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 5, (3, 2)), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.5))
        self.head = nn.Linear(5 * 5 * 5, 4)

    def forward(self, x):
        return self.head(self.features(x).reshape(x.shape[0], -1))


class Sequence(nn.Module):
    """(B, 9, 6) -> (B, 2)"""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 11), nn.GELU(), nn.Dropout(0.5), nn.LayerNorm(11), nn.Linear(11, 2))

    def forward(self, x):
        return self.layers(x).mean(dim=1)
'''
SERVE = """
import importlib.util, sys, torch
answer, folder = sys.argv[1:]
spec = importlib.util.spec_from_file_location("answer", answer)
sys.modules["answer"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
outputs = {}
for name, inputs in torch.load(f"{folder}/inputs.pt").items():
    program = module.load_program(f"{folder}/{name}.pt2")
    outputs[name] = [program(x).detach().cpu() for x in inputs]
torch.save(outputs, f"{folder}/outputs.pt")
"""


@contextlib.contextmanager
def models(folder):
    """What holds the models' classes, under a name that another process cannot import."""
    name = f"kata_models_{os.urandom(8).hex()}"
    (folder / f"{name}.py").write_text(MODELS, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        try:
            yield importlib.import_module(name)
        finally:
            sys.modules.pop(name, None)


@contextlib.contextmanager
def quiet():
    """torch.export logs whole tracebacks about files that it cannot read."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


@pytest.fixture(scope="module")
def exported(submission, request, tmp_path_factory):
    """By the batch of the example: what the answer returned or raised, and what the new process says."""
    rng, folder, results = shared_rng(request), tmp_path_factory.mktemp("programs"), {}
    with models(tmp_path_factory.mktemp("code")) as source:
        for name, model, shape in (("four", source.Convolutional(), (3, 7, 6)), ("one", source.Sequence(), (9, 6))):
            rng.fill_(model, 0.2).to(rng.device).train(name == "four")
            if name == "four":
                model.features[1].eval()  # a frozen batch norm, as in fine-tuning
            oracle = copy.deepcopy(model).double().eval()
            inputs = [rng.normal((batch, *shape)) for batch in BATCHES]
            with torch.no_grad():
                expected = [oracle(x.double()).cpu() for x in inputs]
            path, example = folder / f"{name}.pt2", rng.normal(({"four": 4, "one": 1}[name], *shape))
            results[name] = result = SimpleNamespace(path=path, inputs=inputs, expected=expected, error=None)
            watch = unchanged(model, example)
            watch.__enter__()
            try:
                result.returned = submission.export_program(model, example, path if name == "four" else str(path))
            except Exception as error:
                result.error = error
            try:
                watch.__exit__(None, None, None)
                result.change = None
            except AssertionError as error:
                result.change = error
    return results


def of(exported, name):
    """What is known of the export of that name; if it failed, why."""
    if error := exported[name].error:
        if isinstance(error, NotImplementedError):
            raise error
        what, kind = f"範例的 batch 是 {4 if name == 'four' else 1} 時", type(error).__name__
        fail(f"{what}，export_program 拋出 {kind}: {str(error)[:200]}", f"export {kind}")
    return exported[name]


def assert_runs(submission, result):
    """Loaded and run here, where the class cannot be imported any more."""
    did, outputs = "load_program", []
    try:
        with quiet():
            program = submission.load_program(result.path)
            for batch, x in zip(BATCHES, result.inputs, strict=True):
                did = f"batch 為 {batch} 時載入的程式"
                outputs.append([program(x).detach().cpu() for _ in range(2)])
    except NotImplementedError:
        raise
    except Exception as error:
        text = (str(error).strip().splitlines() or [""])[-1][:200]
        fail(f"{did} 拋出 {type(error).__name__}: {text}", f"{did} {type(error).__name__}")
    if any((first != second).any() for first, second in outputs):
        fail("同一個輸入跑兩次，結果不同：dropout 還開著，要以 eval 模式匯出", "random")
    firsts = [first for first, _ in outputs]
    assert_close(firsts, result.expected, rtol=1e-5, atol=1e-5, what=f"載入後的輸出（batch 依序為 {BATCHES}）")


@pytest.mark.numeric
@NAMES
def test_outputs(submission, exported, name):
    """載入後在 batch 為 1、3、8 時與 eval 模式的模型相同，不需要模型的類別"""
    assert_runs(submission, of(exported, name))


@pytest.mark.behaviour
def test_new_process(submission, exported):
    """在無法匯入模型類別的新行程裡，結果也相同"""
    results = {name: of(exported, name) for name in exported}
    for result in results.values():
        assert_runs(submission, result)  # a new process takes seconds: only for what runs here
    folder = results["four"].path.parent
    torch.save({name: result.inputs for name, result in results.items()}, folder / "inputs.pt")
    try:
        run_python(SERVE, submission.__file__, str(folder), seconds=100)
    except AssertionError as error:  # its last line holds a path
        fail(str(error), "new process")
    outputs = torch.load(folder / "outputs.pt")
    for name, result in results.items():
        assert_close(outputs[name], result.expected, rtol=1e-5, atol=1e-5, what="新行程裡的輸出")


@pytest.mark.behaviour
def test_format(exported):
    """檔案是 torch.export 的格式"""
    path = of(exported, "four").path
    try:
        with quiet():
            torch.export.load(path)
    except Exception as error:
        fail(f"torch.export.load 讀不了寫出的檔案：{type(error).__name__}", type(error).__name__)


@pytest.mark.behaviour
def test_returned(exported):
    """export_program 傳回 Path"""
    result = of(exported, "one")
    assert_type(result.returned, Path, "傳回值")
    assert_equal(str(result.returned), str(result.path), "傳回的路徑")


@pytest.mark.behaviour
@NAMES
def test_untouched(exported, name):
    """模型的參數、buffer、每個子模組的模式與 example 都和原來一樣"""
    if change := of(exported, name).change:
        raise change


@pytest.mark.behaviour
def test_missing(submission, tmp_path):
    """檔案不存在：FileNotFoundError"""
    with quiet(), raises(FileNotFoundError):
        submission.load_program(tmp_path / "nobody.pt2")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", ["text", "state_dict", "cut short"])
def test_no_program(submission, exported, tmp_path, kind):
    """不是程式的檔案：ValueError"""
    path = tmp_path / "other.pt2"
    if kind == "text":
        path.write_text("這不是模型\n" * 40, encoding="utf-8")
    elif kind == "state_dict":
        torch.save({"weight": torch.ones(3, 2)}, path)
    else:
        whole = of(exported, "one").path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    with quiet(), raises(ValueError):
        submission.load_program(path)
