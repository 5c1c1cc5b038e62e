"""090 · TensorBoard：評分

Most checks read one record of a whole call, with a model; the event files are read by TensorBoard's own accumulator.
"""

import os
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    check,
    fail,
    nn,
    nothing_left_open,
    nothing_left_running,
    shared_rng,
    torch,
    unchanged,
)

# torch.jit.trace, which add_graph calls, warns that it is deprecated; so do old aliases that TensorBoard uses.
pytestmark = pytest.mark.filterwarnings("ignore")


def network():
    """(B, 6) -> (B, 3)，有凍結的參數、buffer 與 dropout。"""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Linear(6, 5)
            self.norm = nn.BatchNorm1d(5)
            self.drop = nn.Dropout(0.5)
            self.head = nn.Linear(5, 3)

        def forward(self, x):
            return self.head(self.drop(torch.relu(self.norm(self.encoder(x)))))

    return Network()


def read(folder):
    """What TensorBoard finds in a run's folder."""
    from tensorboard.backend.event_processing import plugin_event_accumulator as accumulators
    from tensorboard.util import tensor_util

    check(folder.is_dir(), "log_dir 沒有建立", "no folder")
    found = accumulators.EventAccumulator(str(folder), size_guidance={accumulators.TENSORS: 0})
    found.Reload()

    def series(kind):
        try:
            tags = found.PluginTagToContent(kind)
        except KeyError:
            return {}
        return {tag: [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in found.Tensors(tag)] for tag in tags}

    nodes = [f"{node.name} {node.op}".lower() for node in found.Graph().node] if found.Tags()["graph"] else []
    return SimpleNamespace(scalars=series("scalars"), histograms=series("histograms"), nodes=nodes)


def random_curves(rng):
    """四條長度不同的曲線。"""
    lengths = {"loss/train": 6, "loss/validation": 4, "accuracy": 5, "optim/lr": 1}
    return {tag: rng.uniform((length,), 0.1, 2.0).tolist() for tag, length in lengths.items()}


def complaint(watch):
    """What a context manager of the checks has against its block, instead of raising it."""
    try:
        watch.__exit__(None, None, None)
    except AssertionError as error:
        return error


@pytest.fixture(scope="module")
def logged(submission, request, tmp_path_factory):
    """一次有模型的紀錄：讀到什麼、留下什麼、改動了什麼。"""
    rng, folder = shared_rng(request), tmp_path_factory.mktemp("tensorboard")
    curves, log_dir = random_curves(rng), folder / "runs" / "一"
    model = rng.fill_(network()).to(rng.device).train()
    model.norm.weight.requires_grad_(False)
    example = rng.normal((4, 6))
    arguments = {tag: list(values) for tag, values in curves.items()}
    watches = {
        "running": nothing_left_running(seconds=2),
        "open": nothing_left_open(),
        "changed": unchanged(arguments, model, example),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))
        for watch in watches.values():
            watch.__enter__()
        submission.log_training(log_dir, arguments, model=model, example=example)
        mine = (log_dir, *log_dir.parents)
        beside = [path for path in folder.rglob("*") if path not in mine and log_dir not in path.parents]
        elsewhere = sorted([*os.listdir(), *(path.name for path in beside)])
        found = read(log_dir)
        complaints = {name: complaint(watch) for name, watch in reversed(watches.items())}
    return SimpleNamespace(
        curves=curves,
        parameters={name: value.detach().double().cpu() for name, value in model.named_parameters()},
        complaints=complaints,
        elsewhere=elsewhere,
        **vars(found),
    )


@pytest.mark.shape
def test_tags(logged):
    """每條曲線一個 scalar，tag 原封不動"""
    found, wanted = sorted(logged.scalars), sorted(logged.curves)
    check(found == wanted, f"scalar 的 tag 應為 {wanted}，得到 {found}", found)


@pytest.mark.numeric
def test_steps(logged):
    """步數從 1 開始"""
    for tag, values in logged.curves.items():
        steps = [step for step, _ in logged.scalars.get(tag, [])]
        assert_equal(steps, list(range(1, len(values) + 1)), f"「{tag}」的步數")


@pytest.mark.numeric
def test_values(logged):
    """每一步的值"""
    found = {tag: [float(value) for _, value in points] for tag, points in logged.scalars.items()}
    assert_close(found, logged.curves, rtol=1e-6, what="曲線")


def histogram_of(logged, name):
    """The one histogram whose tag holds the parameter's name, as [(step, array)]."""
    tags = [tag for tag in logged.histograms if name in tag.replace("/", ".")]
    if len(tags) != 1:
        fail(f"參數 {name} 應有一個 histogram，找到 {len(tags)} 個", sorted(logged.histograms))
    return logged.histograms[tags[0]]


@pytest.mark.shape
def test_histogram_tags(logged):
    """每個參數恰好一個 histogram"""
    points = {name: len(histogram_of(logged, name)) for name in logged.parameters}
    assert_equal(points, dict.fromkeys(logged.parameters, 1), "各參數的 histogram 個數")
    count = len(logged.histograms)
    check(count == 6, f"6 個參數，卻有 {count} 個 histogram", sorted(logged.histograms))


@pytest.mark.numeric
def test_histogram_values(logged):
    """histogram 是參數的值：個數、最小值、最大值"""
    for name, parameter in logged.parameters.items():
        buckets = histogram_of(logged, name)[0][1]  # (buckets, 3): left, right, count
        found = torch.tensor([buckets[:, 2].sum(), buckets[0, 0], buckets[-1, 1]], dtype=torch.float64)
        expected = torch.stack([torch.tensor(parameter.numel()).double(), parameter.min(), parameter.max()])
        assert_close(found, expected, rtol=1e-5, atol=1e-6, what=f"{name} 的（個數、最小值、最大值）")


@pytest.mark.shape
def test_graph(logged):
    """有模型的計算圖"""
    check(logged.nodes, "沒有計算圖", "no graph")
    relu = any("relu" in node for node in logged.nodes)
    check(relu, f"計算圖有 {len(logged.nodes)} 個節點，卻沒有模型裡的 relu：不是這個模型的", "other graph")


@pytest.mark.behaviour
def test_closed(logged):
    """一返回就關閉了：沒有留下執行緒與開著的檔案"""
    for kind in ("running", "open"):
        if logged.complaints[kind]:
            raise logged.complaints[kind]


@pytest.mark.behaviour
def test_untouched(logged):
    """模型的參數、buffer、模式與輸入都不變"""
    if logged.complaints["changed"]:
        raise logged.complaints["changed"]


@pytest.mark.behaviour
def test_nowhere_else(logged):
    """只寫在 log_dir 裡"""
    check(not logged.elsewhere, f"在 log_dir 之外寫出了 {'、'.join(logged.elsewhere)}：沒有用上 log_dir？", "elsewhere")


@pytest.mark.behaviour
def test_two_runs(submission, rng, tmp_path):
    """兩次訓練寫在不同的資料夾，互不混雜；沒有 model 就只有曲線"""
    runs = {"first": {"loss": rng.uniform((3,)).tolist()}, "second": {"loss": rng.uniform((2,)).tolist(), "f1": [0.5]}}
    for name, curves in runs.items():
        submission.log_training(str(tmp_path / name), curves)
    for name, curves in reversed(runs.items()):  # a writer shared by all calls leaves the last folder empty
        found = read(tmp_path / name)
        values = {tag: [float(value) for _, value in points] for tag, points in found.scalars.items()}
        assert_close(values, curves, rtol=1e-6, what=f"{name} 的曲線")
        check(not found.nodes and not found.histograms, "沒有給 model，卻有計算圖或 histogram", "model")
