"""056 · 損失曲線：評分

What is in the picture is noted when Matplotlib's Agg canvas draws it, whoever asks for that: pyplot, a Figure alone,
or a canvas by hand.
"""

import contextlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from torch_kata.checks import (
    assert_close,
    assert_equal,
    assert_type,
    check,
    count_calls,
    fail,
    nn,
    raises,
    same_seed,
    shared_rng,
    torch,
    unchanged,
)


def descend(model, x, y, lr, epochs):
    """手算的梯度下降（float64）：每一步更新前的損失，與各步之後的權重（第 0 項是開始時的）。"""
    weights = {name: value.detach().double() for name, value in model.named_parameters()}
    x, y, losses, path = x.double(), y.double(), [], [weights]
    for _ in range(epochs):
        hidden = torch.tanh(x @ weights["0.weight"].T + weights["0.bias"])
        error = hidden @ weights["2.weight"].T + weights["2.bias"] - y
        losses.append(float(error.square().mean()))
        out = 2 * error / error.numel()
        back = out @ weights["2.weight"] * (1 - hidden**2)
        gradients = {"0.weight": back.T @ x, "0.bias": back.sum(0), "2.weight": out.T @ hidden, "2.bias": out.sum(0)}
        weights = {name: value - lr * gradients[name] for name, value in weights.items()}
        path.append(weights)
    return losses, path


@pytest.fixture
def start(rng, device):
    """start()：每次都是同樣初值的兩層網路；x (11, 4)、y (11, 3)。"""
    first = rng.fill_(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)))
    weights = {name: value.clone() for name, value in first.state_dict().items()}

    def make():
        model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).to(device)
        model.load_state_dict(weights)
        return model

    return SimpleNamespace(model=make, x=rng.normal((11, 4)), y=3 + rng.normal((11, 3)))


@pytest.mark.shape
def test_losses_are_floats(submission, start):
    """train_and_record 傳回 epochs 個 Python float"""
    losses = submission.train_and_record(start.model(), start.x, start.y, epochs=4, lr=0.05)
    assert_type(losses, list, "傳回值")
    assert_equal(len(losses), 4, "損失的個數")
    for loss in losses:
        if type(loss) is not float:
            fail(f"損失應為 Python 的 float，得到 {type(loss).__name__}", type(loss).__name__)
    assert_equal(submission.train_and_record(start.model(), start.x, start.y, epochs=0, lr=0.05), [], "epochs=0 的結果")


@pytest.mark.numeric
@pytest.mark.parametrize("lr", [0.2, 0.03])
def test_losses(submission, start, lr):
    """每一步更新之前的損失"""
    model = start.model()
    expected, _ = descend(model, start.x, start.y, lr, 6)
    with unchanged(start.x, start.y):
        losses = submission.train_and_record(model, start.x, start.y, epochs=6, lr=lr)
    assert_close([float(loss) for loss in losses], expected, rtol=2e-5, what="損失")


@pytest.mark.numeric
def test_weights(submission, start):
    """每一步之後的權重：就地訓練"""
    _, path = descend(start.model(), start.x, start.y, 0.1, 4)
    for epochs in range(1, 5):
        model = start.model()
        submission.train_and_record(model, start.x, start.y, epochs=epochs, lr=0.1)
        assert_close(dict(model.state_dict()), path[epochs], rtol=1e-5, what=f"epochs={epochs} 之後的權重")


@pytest.mark.behaviour
def test_seed(submission, start, rng):
    """train_and_record 不重設全域亂數的種子"""
    with same_seed(rng):
        submission.train_and_record(start.model(), start.x, start.y, epochs=2, lr=0.1)


# ── 畫圖 ──


@pytest.fixture(scope="module", autouse=True)
def backend():
    """不需要螢幕的 backend，在載入作答之前選好。"""
    import matplotlib

    matplotlib.use("Agg")


@contextlib.contextmanager
def drawings():
    """Notes what each drawn figure holds, the last one at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    noted, draw = [], FigureCanvasAgg.draw

    def noting(canvas, *args, **kwargs):
        result = draw(canvas, *args, **kwargs)
        noted.append(contents(canvas.figure))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FigureCanvasAgg, "draw", noting)
        yield noted


def contents(figure):
    axes = figure.axes
    lines = [line for each in axes for line in each.get_lines() if line.get_visible()]
    legends = [legend for legend in [*(each.get_legend() for each in axes), *figure.legends] if legend]
    entries = [pair for each in legends for pair in zip(each.get_texts(), each.legend_handles, strict=True)]
    titles = [each.get_title(loc) for each in axes for loc in ("left", "center", "right")]
    return SimpleNamespace(
        x=[[float(value) for value in line.get_xdata()] for line in lines],
        y=[[float(value) for value in line.get_ydata()] for line in lines],
        styles=[style(line) for line in lines],
        legend={text.get_text(): style(handle) for text, handle in entries},
        texts={
            "x 軸的標示": [*(each.get_xlabel() for each in axes), figure.get_supxlabel()],
            "y 軸的標示": [*(each.get_ylabel() for each in axes), figure.get_supylabel()],
            "標題": [*titles, figure.get_suptitle()],
        },
    )


def style(line):
    """What the eye tells lines apart by."""
    from matplotlib.colors import to_rgba

    return to_rgba(line.get_color()), line.get_linestyle()


def random_curves(rng):
    """四條長度不同的曲線；名稱不照字母的順序。"""
    lengths = {"sgd, lr = 0.1": 7, "adam": 3, "momentum 0.9": 12, "baseline": 1}
    return {name: rng.uniform((length,), 0.1, 2.0).tolist() for name, length in lengths.items()}


@pytest.fixture(scope="module")
def plotted(submission, request, tmp_path_factory):
    """一張四條曲線的圖：曲線、檔案、傳回值、畫在上面的東西，與呼叫時順便做了什麼。"""
    import matplotlib
    from matplotlib import pyplot

    curves = random_curves(shared_rng(request))
    path = tmp_path_factory.mktemp("plot") / "loss.png"
    before = matplotlib.rcParams.copy()
    try:
        with matplotlib.rc_context(), drawings() as noted, count_calls("matplotlib.pyplot.show") as shown:
            returned = submission.plot_losses({name: list(losses) for name, losses in curves.items()}, path)
            changed = sorted(key for key, value in matplotlib.rcParams.items() if before[key] != value)
    finally:
        pyplot.close("all")
    if not path.is_file():
        fail("沒有寫出 path 這個檔案", "no file")
    check(noted, "Matplotlib 沒有畫出任何圖", "nothing drawn")
    return SimpleNamespace(
        curves=curves, path=path, returned=returned, figure=noted[-1], changed=changed, shown=shown.total()
    )


@pytest.mark.shape
def test_png(plotted):
    """PNG 打得開，寬至少 400 像素"""
    from PIL import Image

    try:
        with Image.open(plotted.path) as image:
            image.load()
            kind, width = image.format, image.width
    except OSError as error:
        fail(f"寫出的檔案不是圖：{type(error).__name__}", "no picture")
    assert_equal(kind, "PNG", "檔案的格式")
    check(width >= 400, f"圖寬 {width} 像素，至少要 400", width)


@pytest.mark.shape
def test_returned(plotted):
    """傳回 Path"""
    assert_type(plotted.returned, Path, "傳回值")
    assert_equal(str(plotted.returned), str(plotted.path), "傳回的路徑")


@pytest.mark.numeric
def test_lines(plotted):
    """每條曲線恰好一條線，資料一個不差"""
    found = sorted(plotted.figure.y, key=lambda y: (len(y), y))
    check(len(found) == 4, f"4 條曲線，圖裡有 {len(found)} 條線", found)
    assert_equal(found, sorted(plotted.curves.values(), key=len), "由短到長，各條線的 y")


@pytest.mark.numeric
def test_epochs(plotted):
    """x 是 epoch，從 1 開始"""
    found = sorted(plotted.figure.x, key=lambda x: (len(x), x))
    wanted = [[float(epoch) for epoch in range(1, len(y) + 1)] for y in sorted(plotted.figure.y, key=len)]
    assert_equal(found, wanted, "由短到長，各條線的 x")


@pytest.mark.behaviour
def test_legend(plotted):
    """圖例的名稱對到正確的線"""
    figure, legend = plotted.figure, plotted.figure.legend
    missing = [name for name in plotted.curves if name not in legend]
    check(not missing, f"圖例裡沒有 {'、'.join(missing)}", f"missing {sorted(missing)}")
    styles = dict(zip(map(tuple, figure.y), figure.styles, strict=True))
    for name, losses in plotted.curves.items():
        if tuple(losses) in styles and styles[tuple(losses)] != legend[name]:
            fail(f"圖例的「{name}」指到別的線（顏色或線型不同）", f"wrong line {name}")


@pytest.mark.behaviour
def test_texts(plotted):
    """有 x 軸、y 軸的標示與標題"""
    missing = [kind for kind, texts in plotted.figure.texts.items() if not any(text.strip() for text in texts)]
    check(not missing, f"圖上沒有{'、'.join(missing)}", missing)


@pytest.mark.behaviour
def test_settings(plotted):
    """matplotlib.rcParams 不變"""
    changed = plotted.changed
    check(not changed, f"改動了 matplotlib.rcParams，沒有還原：{'、'.join(changed[:4])}", changed[:20])


@pytest.mark.behaviour
def test_no_window(plotted):
    """不呼叫 plt.show()"""
    check(not plotted.shown, "呼叫了 plt.show()：沒有螢幕的機器上沒有用，有螢幕時會卡住等人關視窗", "shown")


@pytest.mark.behaviour
def test_folder(submission, rng, tmp_path):
    """資料夾不存在就建立；path 也可以是 str；不改動 curves"""
    path = tmp_path / "runs" / "一" / "loss.png"
    curves = {"train": rng.uniform((5,)).tolist(), "val": rng.uniform((4,)).tolist()}
    with unchanged(curves):
        try:
            submission.plot_losses(curves, str(path))
        except FileNotFoundError:
            fail("path 所在的資料夾不存在時，應先建立（不只一層）", "FileNotFoundError")
    check(path.is_file(), "沒有寫出 path 這個檔案", "no file")


@pytest.mark.behaviour
def test_figures(submission, rng, tmp_path):
    """不留下開著的圖，呼叫者的圖也不受影響"""
    from matplotlib import pyplot

    pyplot.close("all")
    figure, axes = pyplot.subplots()
    axes.plot([3, 4])
    try:
        for number in range(2):
            submission.plot_losses({"train": rng.uniform((5,)).tolist()}, tmp_path / f"{number}.png")
        still_open = pyplot.get_fignums()
    finally:
        pyplot.close("all")  # here, so that what the engine finds open does not take the place of the reason
    drawn = [line.get_ydata().tolist() for each in figure.axes for line in each.get_lines()]
    check(drawn == [[3, 4]], "畫到呼叫者原本開著的圖上了：自己開一張新的", "drawn on it")
    check(figure.number in still_open, "關掉了呼叫者原本開著的圖：只關自己的那一張", "closed all")
    left = len(still_open) - 1
    check(not left, f"呼叫兩次，留下了 {left} 張開著的圖：用完要 plt.close", f"{left} left open")


@pytest.mark.behaviour
@pytest.mark.parametrize("which", ["no-curve", "first-empty", "last-empty"])
def test_nothing_to_plot(submission, rng, tmp_path, which):
    """沒有曲線或有空的曲線：ValueError"""
    full, path = rng.uniform((5,)).tolist(), tmp_path / "loss.png"
    curves = {
        "no-curve": {},
        "first-empty": {"run-17": [], "train": full},
        "last-empty": {"train": full, "run-17": []},
    }[which]
    with raises(ValueError, *(["run-17"] if curves else [])):
        submission.plot_losses(curves, path)
    check(not path.exists(), "拋出了 ValueError，卻還是寫出檔案", "written")
