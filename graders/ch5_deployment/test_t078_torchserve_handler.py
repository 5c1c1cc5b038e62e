"""078 · TorchServe 的 handler：評分

What TorchServe does is done here by hand: a context like its own, a folder like an archive it has opened, requests as
its workers hand them over. The model itself says in its answers how it was called: how large the batch was, the how
manyeth call it was, in which mode and grad mode, on which device, and how many dimensions the batch had.
"""

import io
import json
import os
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_type, check, fail, nn, shared_rng, torch

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:Warning", "ignore:.*torch.jit:FutureWarning")
SAMPLE = (2, 3)
SCORES = 4
FACTS = ("batch", "calls", "training", "grad", "cuda", "dims")
BAD = {
    "not_json": [b"[1, 2", "hello", bytearray(b"\xff\xfe\x00"), b""],
    "not_numbers": [
        ["a", "b"],
        [[1.0, 2.0], [3.0]],
        "3.5",
        {"label": [[1.0, 2.0, 3.0]] * 2},
        {"input": None},
        b'"text"',
    ],
    "missing": [None, None],
}


class Context:
    """TorchServe's: the same for a worker's whole life, with the statuses of the batch at hand."""

    def __init__(self, folder, manifest, device):
        gpu = (device.index or 0) if device.type == "cuda" else None
        self.model_name, self.manifest, self.metrics, self.model_yaml_config = "net", manifest, None, {}
        self.system_properties = {"model_dir": str(folder), "gpu_id": gpu, "batch_size": 8}
        self.begin(0)

    def begin(self, count):
        self.request_ids = {i: f"request-{i}" for i in range(count)}
        self.statuses, self.headers = [(200, "")] * count, [{} for _ in range(count)]

    def set_response_status(self, code=200, phrase="", idx=0):
        if self.statuses:  # none while a worker starts
            self.statuses[idx] = (code, phrase)

    def set_all_response_status(self, code=200, phrase=""):
        self.statuses = [(code, phrase)] * len(self.statuses)

    def get_response_status(self, idx):
        return self.statuses[idx]

    def set_response_header(self, idx, key, value):
        self.headers[idx][key] = value

    def set_response_content_type(self, idx, value):
        self.set_response_header(idx, "content-type", value)

    def get_response_headers(self, idx):
        return self.headers[idx]

    def get_request_id(self, idx=0):
        return self.request_ids.get(idx)

    def get_request_header(self, idx, key):
        return None

    def get_all_request_header(self, idx):
        return {}


# ── the model ──


def scripted(rng):
    """The bytes of a TorchScript file, saved in train mode, and its weights."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4)
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            called = [float(x.size(0)), float(self.calls), float(self.training)]
            called += [float(torch.is_grad_enabled()), float(x.is_cuda), float(x.dim())]
            facts = torch.tensor(called, device=x.device)
            return torch.cat([self.layer(x.flatten(1)).tanh(), facts.expand(x.size(0), -1)], 1)

    network, file = rng.fill_(Network()).train(), io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(network), file)
    return file.getvalue(), network.layer.weight.detach().double(), network.layer.bias.detach().double()


@pytest.fixture(scope="module", autouse=True)
def network(request):
    """Made before the answer is imported: afterwards nothing in graders/ can be read, and torch.jit.script reads it."""
    rng = shared_rng(request)
    content, weight, bias = scripted(rng)
    decoy, _, _ = scripted(rng)
    return SimpleNamespace(content=content, decoy=decoy, weight=weight.cpu(), bias=bias.cpu())


def truth(network, samples):
    x = torch.tensor(samples, dtype=torch.float64).reshape(len(samples), -1)
    return torch.tanh(x @ network.weight.T + network.bias)


def samples_of(rng, count):
    return [sample.tolist() for sample in rng.normal((count, *SAMPLE)).cpu()]


# ── a worker ──


def start(submission, folder, network, device):
    """A worker's handler and context, with the model in a folder that holds another one too."""
    Path(folder, "digits-v3.pt").write_bytes(network.content)
    Path(folder, "model.pt").write_bytes(network.decoy)
    manifest = {"runtime": "python", "model": {"modelName": "net", "serializedFile": "digits-v3.pt"}}
    return initialised(submission.ModelHandler(), folder, manifest, device)


def initialised(handler, folder, manifest, device):
    context = Context(folder, manifest, device)
    handler.initialize(context)
    return handler, context


def requests(samples, kind="bytes"):
    """The samples as requests: in body or data by turns, and texts as a list or as a dict by turns."""
    made = []
    for number, sample in enumerate(samples):
        wrapped = {"input": sample}
        text = json.dumps(wrapped if number % 3 == 1 else sample)
        content = {
            "bytes": text.encode(),
            "bytearray": bytearray(text.encode()),
            "str": text,
            "list": sample,
            "dict": wrapped,
        }
        made.append({"data" if number % 2 else "body": content[kind]})
    return made


def handled(handler, context, data):
    """The answers to a batch, as many as its requests."""
    context.begin(len(data))
    answers = handler.handle(data, context)
    if isinstance(answers, torch.Tensor):
        fail(f"handle 應傳回 list，得到形狀 {tuple(answers.shape)} 的 Tensor", "type Tensor")
    assert_type(answers, list, "handle 的傳回值")
    check(len(answers) == len(data), f"{len(data)} 個請求應有 {len(data)} 個答案，得到 {len(answers)} 個", len(answers))
    return answers


def received(answer, what):
    """An answer as its client gets it."""
    if isinstance(answer, torch.Tensor):
        fail(f"{what}是 Tensor，TorchServe 會送出 torch.save 的位元組；要轉成 list", "answer Tensor")
    try:
        return json.loads(answer if isinstance(answer, str | bytes | bytearray) else json.dumps(answer))
    except (TypeError, ValueError) as error:
        fail(f"{what}不能以 JSON 表示：{str(error)[:120]}", f"no JSON {type(answer).__name__}")


def rows(answers):
    """The scores in the answers (n, SCORES), and what the model says of the call, by name."""
    width, values = SCORES + len(FACTS), []
    for number, answer in enumerate(answers):
        row = received(answer, f"第 {number} 個答案")
        flat = isinstance(row, list) and all(isinstance(value, float | int) for value in row)
        if not flat or len(row) != width:
            fail(f"第 {number} 個答案應為模型輸出的 {width} 個數字，得到 {str(row)[:100]}", row)
        values.append(row)
    table = torch.tensor(values, dtype=torch.float32)
    return table[:, :SCORES], {name: table[:, SCORES + i].tolist() for i, name in enumerate(FACTS)}


def assert_scores(answers, expected, what="答案"):
    scores, _ = rows(answers)
    assert_close(scores, expected, what=what)


def facts_of(answers):
    return rows(answers)[1]


# ── answers ──


@pytest.mark.shape
@pytest.mark.parametrize("count", [1, 5])
def test_count(submission, network, rng, device, tmp_path, count):
    """n 個請求得到 n 個答案的 list"""
    worker = start(submission, tmp_path, network, device)
    dims = facts_of(handled(*worker, requests(samples_of(rng, count))))["dims"]
    told = f"(2, 3) 的樣本應成為 ({count}, 2, 3) 的 batch，模型看到的卻是 {dims[0]:g} 維"
    check(set(dims) == {3.0}, told, dims)


@pytest.mark.numeric
def test_values(submission, network, rng, device, tmp_path):
    """第 i 個答案是 manifest 所指的模型對第 i 筆樣本的輸出"""
    samples = samples_of(rng, 7)
    expected = truth(network, samples)
    worker = start(submission, tmp_path, network, device)
    assert_scores(handled(*worker, requests(samples)), expected)


@pytest.mark.numeric
@pytest.mark.parametrize("kind", ["bytes", "bytearray", "str", "list", "dict"])
def test_formats(submission, network, rng, device, tmp_path, kind):
    """內容是各種型別，在 body 或 data，都讀得懂"""
    samples = samples_of(rng, 4)
    expected = truth(network, samples)
    handler, context = start(submission, tmp_path, network, device)
    answers = handled(handler, context, requests(samples, kind))
    refused = [i for i, (status, _) in enumerate(context.statuses) if status != 200]
    if refused:
        key = "data" if refused[0] % 2 else "body"
        fail(f"{key} 是 {kind} 的請求讀得懂，卻得到狀態 {context.statuses[refused[0]][0]}", f"refused {refused}")
    assert_scores(answers, expected)


@pytest.mark.numeric
def test_integers(submission, network, rng, device, tmp_path):
    """樣本全是整數時也一樣"""
    samples = [sample.tolist() for sample in rng.integers(-3, 4, (3, *SAMPLE)).cpu()]
    expected = truth(network, samples)
    handler, context = start(submission, tmp_path, network, device)
    answers = handled(handler, context, requests(samples, "list"))
    check(context.statuses == [(200, "")] * 3, "整數的樣本讀得懂，卻得到狀態 400", "refused")
    assert_scores(answers, expected)


@pytest.mark.gradient
def test_no_graph(submission, network, rng, device, tmp_path):
    """模型執行時 grad mode 是關的"""
    worker = start(submission, tmp_path, network, device)
    grad = facts_of(handled(*worker, requests(samples_of(rng, 3))))["grad"]
    check(not any(grad), "模型執行時 grad mode 是開的，白白建了計算圖", grad)


# ── how the model is used ──


@pytest.mark.behaviour
def test_one_batch(submission, network, rng, device, tmp_path):
    """一批請求只呼叫模型一次"""
    worker = start(submission, tmp_path, network, device)
    first = facts_of(handled(*worker, requests(samples_of(rng, 5))))
    second = facts_of(handled(*worker, requests(samples_of(rng, 6))))
    check(second["batch"] == [6.0] * 6, f"6 個請求應是一個 batch，模型看到的 batch 大小是 {second['batch']}", second)
    # Counted from the batch before: a handler may warm its model up.
    calls = second["calls"][-1] - first["calls"][-1]
    check(calls == 1, f"6 個請求應只呼叫模型 1 次，卻呼叫了 {calls:g} 次", second)


@pytest.mark.behaviour
def test_eval_mode(submission, network, rng, device, tmp_path):
    """模型在 eval 模式"""
    worker = start(submission, tmp_path, network, device)
    training = facts_of(handled(*worker, requests(samples_of(rng, 3))))["training"]
    check(not any(training), "模型還在 train 模式（檔案是在 train 模式存的）：dropout 與 batch norm 會出錯", training)


@pytest.mark.behaviour
def test_loaded_once(submission, network, rng, device, tmp_path):
    """模型只在 initialize 時載入"""
    samples = samples_of(rng, 2)
    expected = truth(network, samples)
    worker = start(submission, tmp_path, network, device)
    calls = facts_of(handled(*worker, requests(samples[:1])))["calls"][0]
    (tmp_path / "new.pt").write_bytes(network.decoy)
    os.replace(tmp_path / "new.pt", tmp_path / "digits-v3.pt")
    answers = handled(*worker, requests(samples))
    again = facts_of(answers)["calls"][0]
    check(again > calls, "每一批都重新載入了模型：換掉磁碟上的檔，答案就跟著變了", facts_of(answers))
    assert_scores(answers, expected, "換掉磁碟上的模型檔之後的答案")


@pytest.mark.behaviour
def test_steps(submission, network, rng, device, tmp_path):
    """handle 用的是自己的 preprocess、inference、postprocess"""
    order = []

    class Subclass(submission.ModelHandler):
        def preprocess(self, *args, **kwargs):
            order.append("preprocess")
            return super().preprocess(*args, **kwargs)

        def inference(self, *args, **kwargs):
            order.append("inference")
            return super().inference(*args, **kwargs)

        def postprocess(self, *args, **kwargs):
            order.append("postprocess")
            return super().postprocess(*args, **kwargs)

    start(submission, tmp_path, network, device)
    manifest = {"model": {"serializedFile": "digits-v3.pt"}}
    handled(*initialised(Subclass(), tmp_path, manifest, device), requests(samples_of(rng, 2)))
    found = list(dict.fromkeys(order))
    wanted = ["preprocess", "inference", "postprocess"]
    missing = [name for name in wanted if name not in found]
    check(not missing, f"handle 沒有呼叫 self 的 {'、'.join(missing)}", found)
    check(found == wanted, f"三步的順序應為 {'、'.join(wanted)}，得到 {'、'.join(found)}", found)


# ── requests that cannot be read ──


@pytest.mark.behaviour
@pytest.mark.parametrize("reason", [*BAD, "all"])
def test_bad_requests(submission, network, rng, device, tmp_path, reason):
    """讀不懂的請求得到 400 與 JSON 物件，其他照常"""
    # A number alone is wrong beside others; all alone, an answer may take it for a sample without dimensions.
    contents = BAD.get(reason) or [bad for bads in BAD.values() for bad in bads if bad != "3.5"]
    data = [{"data" if i % 2 else "body": bad} if bad is not None else {} for i, bad in enumerate(contents)]
    bad, good = list(range(len(data))), {}
    if reason in BAD:
        samples = samples_of(rng, len(data) + 1)
        mixed = [request for pair in zip(requests(samples), data, strict=False) for request in pair]
        data, bad = [*mixed, *requests(samples)[-1:]], list(range(1, 2 * len(data), 2))
        good = dict(zip(range(0, len(data), 2), samples, strict=True))
        expected = truth(network, samples)
    handler, context = start(submission, tmp_path, network, device)
    answers = handled(handler, context, data)
    codes = [code for code, _ in context.statuses]
    for i in bad:
        content = next(iter(data[i].values()), "（沒有內容）")
        check(codes[i] == 400, f"讀不懂的請求 {content!r} 應得到狀態 400，得到 {codes[i]}", codes)
        answer = received(answers[i], f"讀不懂的請求 {content!r} 的答案")
        right = isinstance(answer, dict) and answer
        check(right, f"讀不懂的請求 {content!r} 的答案應為 JSON 物件，得到 {answer!r}", [codes, answer])
    check(all(codes[i] == 200 for i in good), f"讀得懂的請求，狀態也被改了：{codes}", codes)
    if good:
        assert_scores([answers[i] for i in good], expected, "同一批裡讀得懂的請求的答案")


@pytest.mark.behaviour
def test_phrase(submission, network, rng, device, tmp_path):
    """set_response_status 的 phrase 是 ASCII"""
    handler, context = start(submission, tmp_path, network, device)
    bad = [{"body": b"[1, 2"}, {"data": '"三"'}, {"body": ["三", "四"]}, {"data": {"標籤": 7}}]  # errors may quote them
    handled(handler, context, [*requests(samples_of(rng, 1)), *bad])
    for _, phrase in context.statuses[1:]:
        check(phrase is not None and str(phrase).isascii(), f"phrase 應只含 ASCII 字元，得到 {phrase!r}", phrase)


# ── the handler file and the archive ──


@pytest.mark.behaviour
def test_one_class(submission, network, device, tmp_path):
    """檔案裡只定義一個 class，沒有 module 層級的 handle"""
    start(submission, tmp_path, network, device)
    module = vars(submission)
    classes = [n for n, v in module.items() if isinstance(v, type) and v.__module__ == submission.__name__]
    check(classes == ["ModelHandler"], f"handler 檔只能定義一個 class，這裡有 {'、'.join(classes)}", classes)
    check("handle" not in module, "module 層級有 handle：TorchServe 會改呼叫它，不用 ModelHandler", "module handle")


@pytest.fixture
def archived(submission, rng, tmp_path):
    """What build_archive made of two files in folders of their own."""
    folders = [tmp_path / name for name in ("models", "code", "export")]
    for folder in folders:
        folder.mkdir()
    model, handler = folders[0] / "digits-v3.pt", folders[1] / "my_handler.py"
    model.write_bytes(bytes(rng.integers(0, 256, (1000,)).tolist()))
    handler.write_text("class ModelHandler:\n    pass\n", encoding="utf-8")
    returned = submission.build_archive("scores", "2.5", str(model), handler, folders[2])
    path = folders[2] / "scores.mar"
    return SimpleNamespace(model=model, handler=handler, folders=folders, returned=returned, path=path)


def opened(archived):
    """The archive's files by name."""
    if not archived.path.is_file():
        found = sorted(path.name for path in archived.folders[2].iterdir())
        fail(f"沒有寫出 export_path/{archived.path.name}，export_path 裡有 {found}", found)
    if not zipfile.is_zipfile(archived.path):
        fail(f"{archived.path.name} 不是 zip 檔", "no zip")
    with zipfile.ZipFile(archived.path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def manifest_in(files):
    if "MAR-INF/MANIFEST.json" not in files:
        fail(f"封存檔裡沒有 MAR-INF/MANIFEST.json，有 {sorted(files)}", "no manifest")
    try:
        manifest = json.loads(files["MAR-INF/MANIFEST.json"])
    except ValueError as error:
        fail(f"MANIFEST.json 不是 JSON：{error}", "manifest no JSON")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("model"), dict):
        fail(f"MANIFEST.json 應為 {{'model': {{...}}}}，得到 {str(manifest)[:120]}", "manifest without model")
    return manifest


@pytest.mark.behaviour
def test_archive_path(archived):
    """在 export_path 寫出 NAME.mar，傳回 Path，沒有寫出別的"""
    opened(archived)
    assert_type(archived.returned, Path, "傳回值")
    same = archived.returned.resolve() == archived.path.resolve()
    check(same, f"應傳回 {archived.path.name} 的路徑，得到 {archived.returned.name}", archived.returned.name)
    found = [sorted(path.name for path in folder.iterdir()) for folder in archived.folders]
    assert_equal(found, [["digits-v3.pt"], ["my_handler.py"], ["scores.mar"]], "三個資料夾裡的檔案")


@pytest.mark.behaviour
def test_manifest(archived):
    """MANIFEST.json 有 modelName、modelVersion、handler、serializedFile"""
    model = manifest_in(opened(archived))["model"]
    wanted = {
        "modelName": ("scores",),
        "modelVersion": ("2.5",),
        "handler": ("my_handler.py", "my_handler"),
        "serializedFile": ("digits-v3.pt",),
    }
    found = {key: model.get(key) for key in wanted}
    for key, values in wanted.items():
        check(key in model, f"MANIFEST.json 的 model 裡沒有 {key}", found)
        check(model[key] in values, f"model 的 {key} 應為 {values[0]!r}，得到 {model[key]!r}", found)


@pytest.mark.behaviour
def test_archived_files(archived):
    """封存檔的最上層有模型檔與 handler 檔，內容不變"""
    files = opened(archived)
    for path in (archived.model, archived.handler):
        found = sorted(name for name in files if not name.startswith("MAR-INF"))
        check(path.name in files, f"封存檔的最上層沒有 {path.name}，有 {found}", [path.name, len(found)])
        check(files[path.name] == path.read_bytes(), f"封存檔裡的 {path.name} 內容不同", f"content {path.name}")


@pytest.mark.behaviour
def test_archive_serves(submission, network, rng, device, tmp_path):
    """解開封存檔後，handler 照著裡面的 manifest 就能服務"""
    samples = samples_of(rng, 3)
    expected = truth(network, samples)
    model = tmp_path / "net.torchscript"
    model.write_bytes(network.content)
    submission.build_archive("net", "1.0", model, submission.__file__, str(tmp_path))
    folder = tmp_path / "opened"
    with zipfile.ZipFile(tmp_path / "net.mar") as archive:
        archive.extractall(folder)
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))
    worker = initialised(submission.ModelHandler(), folder, manifest, device)
    assert_scores(handled(*worker, requests(samples)), expected)


# ── CUDA ──


@pytest.mark.cuda
@pytest.mark.behaviour
def test_gpu(submission, network, rng, device, tmp_path):
    """gpu_id 是 0 時，模型與 batch 在 cuda:0；是 None 時在 CPU"""
    data = requests(samples_of(rng, 3))
    cuda = facts_of(handled(*start(submission, tmp_path, network, device), data))["cuda"]
    check(all(cuda), "gpu_id 是 0，batch 卻不在 GPU 上", cuda)
    cuda = facts_of(handled(*start(submission, tmp_path, network, torch.device("cpu")), data))["cuda"]
    check(not any(cuda), "gpu_id 是 None，batch 卻在 GPU 上", cuda)
