"""086 · torch.jit 加速推理：評分"""

import contextlib
import copy
import os

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    assert_type,
    assert_within_budget,
    check,
    fail,
    nn,
    torch,
    unchanged,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.jit is deprecated

BATCHES = (1, 3, 8)
NETWORKS = pytest.mark.parametrize("name", ["stack", "other orders"])


def network(rng, name):
    """A network (B, 3, 9, 8) -> (B, 5) of torch's own modules (torch.jit.script needs their source).

    Its weights are random, and it is in train mode but for one batch norm.
    """
    if name == "stack":
        model = nn.Sequential(
            nn.Conv2d(3, 8, (3, 2), bias=False),
            nn.BatchNorm2d(8, eps=0.05),
            nn.ReLU(),
            nn.Conv2d(8, 12, 3, stride=(2, 1), groups=4),
            nn.BatchNorm2d(12, affine=False),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(12, 5),
        )
    else:  # the first batch norm has no convolution before it, the second has a ReLU between: both may stay
        model = nn.Sequential(
            nn.BatchNorm2d(3),
            nn.Conv2d(3, 8, (3, 2), padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 6, 2),
            nn.BatchNorm2d(6),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(6 * 4 * 4, 5),
        )
    rng.fill_(model, 0.2).to(rng.device).train()
    next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    return model


def question(rng, model):
    """An example of batch 4, other inputs, and what the model says of these in eval mode, in float64."""
    oracle = copy.deepcopy(model).double().eval()
    inputs = [rng.normal((batch, 3, 9, 8)) for batch in BATCHES]
    with torch.no_grad():
        return rng.normal((4, 3, 9, 8)), inputs, [oracle(x.double()) for x in inputs]


def answers(module, inputs):
    """What the module says of every input; of each one three times, since TorchScript optimises while it runs."""
    with torch.no_grad():
        rounds = []
        for x in [x for _ in range(3) for x in inputs]:
            try:
                rounds.append(module(x))
            except Exception as error:
                last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                fail(f"傳回的 ScriptModule 在 batch 為 {len(x)} 時拋出 {last[:200]}", f"refused {len(x)}")
    return rounds


def before_batch_norms(module):
    """For each batch norm in the graph, what its input comes from."""
    found = []

    def walk(block):
        for node in block.nodes():
            if "batch_norm" in node.kind():
                found.append(next(node.inputs()).node().kind())
            for inner in node.blocks():
                walk(inner)

    walk(module.inlined_graph)
    return found


@pytest.mark.numeric
@NETWORKS
def test_equals_eager(submission, rng, name):
    """在 batch 為 1、3、8 時與 eval 模式的模型相同"""
    model = network(rng, name)
    example, inputs, expected = question(rng, model)
    results = answers(submission.optimize_for_inference(model, example), inputs)
    what = f"三輪呼叫的輸出（每輪 batch 依序為 {BATCHES}）"
    assert_close(results, expected * 3, rtol=1e-5, atol=1e-5, what=what)


@pytest.mark.behaviour
@NETWORKS
def test_frozen(submission, rng, name):
    """傳回的 ScriptModule 沒有參數"""
    model = network(rng, name)
    module = submission.optimize_for_inference(model, question(rng, model)[0])
    assert_type(module, torch.jit.ScriptModule, "傳回值")
    left = [name for name, _ in module.named_parameters()]
    check(not left, f"還有 {len(left)} 個參數沒有凍結成常數，例如 {left[0] if left else ''}", left)


@pytest.mark.behaviour
@NETWORKS
def test_folded(submission, rng, name):
    """計算圖裡沒有緊接在卷積後面的 batch norm"""
    model = network(rng, name)
    module = submission.optimize_for_inference(model, question(rng, model)[0])
    assert_type(module, torch.jit.ScriptModule, "傳回值")
    before = before_batch_norms(module)
    left = [kind for kind in before if "conv" in kind]
    check(not left, f"還有 {len(left)} 個 batch norm 緊接在卷積後面，應摺疊進卷積的權重", before)


@pytest.mark.behaviour
@NETWORKS
def test_untouched(submission, rng, name):
    """原模型的參數、buffer 與每個子模組的模式都不變"""
    model = network(rng, name)
    example = question(rng, model)[0]
    with unchanged(model, example):
        submission.optimize_for_inference(model, example)


@pytest.mark.behaviour
def test_no_file(submission, rng, tmp_path, monkeypatch):
    """不寫任何檔案，暫存檔也不寫"""
    model = network(rng, "stack")
    example = question(rng, model)[0]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    os.utime(tmp_path, (0, 0))  # what is written and removed again shows in the folder's time
    before = tmp_path.stat().st_mtime_ns
    with contextlib.chdir(tmp_path):
        submission.optimize_for_inference(model, example)
    assert_equal([path.name for path in tmp_path.iterdir()], [], "寫出的檔案")
    check(tmp_path.stat().st_mtime_ns == before, "寫了暫存檔又刪掉；在記憶體裡做就好", "temporary")


@pytest.mark.speed
def test_speed(submission, rng):
    """與原模型比較的速度"""
    layers, channels = [], 3
    for wider in (16, 32, 32):
        layers += [nn.Conv2d(channels, wider, 3, padding=1), nn.BatchNorm2d(wider), nn.ReLU()]
        channels = wider
    model = nn.Sequential(*layers).to(rng.device).eval()

    def inputs():
        return rng.normal((4, 3, 24, 32))

    with torch.no_grad():
        module = submission.optimize_for_inference(model, inputs())
        answers(module, [inputs()])
        # By time only, against the eager model: trace 0.4 to 0.85, freeze 0.35 to 0.6, optimize_for_inference and a
        # fused model 0.25 to 0.8 of it. The contract asks for no more than 1.5.
        assert_within_budget(module, model, inputs, factor=1.5, gate=False, baseline=model)
