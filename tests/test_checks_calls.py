"""Forbidden and counted calls: found however they are made, when the learner's code makes them, and nothing stays."""

import builtins
import importlib
import sys
import textwrap
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torch_kata.checks import call_within, calls, count_calls, forbid, learner
from torch_kata.checks.calls import ForbiddenCall, guarded, paused

HEADER = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\nx = torch.rand(3, 4)\n"


@pytest.fixture
def answer(tmp_path, monkeypatch):
    """Makes a module of the learner's from its text, as the engine does."""
    path = str(tmp_path / "t000_answer.py")
    monkeypatch.setattr(learner, "FILES", {path})

    def make(text):
        namespace = {"__name__": "t000_answer", "__file__": path}
        exec(compile(HEADER + textwrap.dedent(text), path, "exec"), namespace)
        return type("Answer", (), {k: staticmethod(v) if callable(v) else v for k, v in namespace.items()})

    return make


@pytest.fixture(autouse=True)
def nothing_stays():
    """Everything the guards touch is as it was after each test."""
    watched = [
        (builtins, "__import__"),
        (importlib.import_module, "__code__"),
        (torch.cdist, "__code__"),
        (torch.nn.utils.clip_grad_norm_, "__code__"),
        (torch.func.vmap, "__code__"),
        (torch.Tensor.backward, "__code__"),
        (F, "gelu"),
        (torch, "from_numpy"),
        (nn.RNN, "__init__"),
        (nn.GELU, "__init__"),
    ]
    before, finders = [getattr(owner, name) for owner, name in watched], list(sys.meta_path)
    own = [name in vars(owner) if isinstance(owner, type) else None for owner, name in watched]
    yield
    assert all(getattr(owner, name) is old for (owner, name), old in zip(watched, before, strict=True))
    assert own == [name in vars(owner) if isinstance(owner, type) else None for owner, name in watched]
    assert sys.meta_path == finders and not calls._relayed and not calls._active
    assert torch._C._len_torch_function_stack() == 0 and torch._C._len_torch_dispatch_stack() == 0


def refusal(function, *arguments):
    """The message of the refusal that a call must end with."""
    with pytest.raises(ForbiddenCall) as caught:
        function(*arguments)
    return str(caught.value)


# ── what is caught ──

WAYS = {
    "torch.cdist": ["torch.cdist(x, x)", "getattr(torch, 'cd' + 'ist')(x, x)", "torch.functional.cdist(x, x)"],
    "torch.softmax": ["torch.softmax(x, 0)", "torch._C._VariableFunctions.softmax(x, 0)"],
    "F.gelu": ["F.gelu(x)", "nn.GELU()(x)", "torch.nn.functional.gelu(x)", "torch._C._nn.gelu(x)"],
    "F.silu": ["F.silu(x)", "nn.SiLU()(x)"],
    "F.softmax": ["F.softmax(x, 0)", "nn.Softmax(0)(x)"],
    "F.max_pool2d": ["F.max_pool2d(x[None, None], 2)", "nn.MaxPool2d(2)(x[None])"],
    "F.scaled_dot_product_attention": [
        "F.scaled_dot_product_attention(x, x, x)",
        "nn.MultiheadAttention(4, 2)(x, x, x, need_weights=False)",
    ],
    "Tensor.softmax": ["x.softmax(0)", "torch.Tensor.softmax(x, 0)", "torch.Tensor.softmax(x.requires_grad_(), 0)"],
    "Tensor.matmul": ["x @ x.T", "x.matmul(x.T)"],
    "Tensor.T": ["x.T"],
    "Tensor.backward": ["x.requires_grad_().sum().backward()"],
    "nn.RNN": ["nn.RNN(4, 2)", "type('Mine', (nn.RNN,), {})(4, 2)", "nn.modules.rnn.RNN(4, 2)"],
    "nn.GELU": ["nn.GELU()"],  # has no __init__ of its own but a parent's
    "torch.autograd.grad": ["torch.autograd.grad(x.requires_grad_().sum(), x)"],
    "torch.nn.utils.clip_grad_norm_": ["nn.utils.clip_grad_norm_([x], 1.0)"],
    "torch.from_numpy": ["torch.from_numpy(x.numpy())"],
    "numpy.linalg.svd": ["__import__('numpy').linalg.svd(x.numpy())"],
    "math.sqrt": ["__import__('math').sqrt(2)"],
    "aten::silu": ["F.silu(x)", "torch.ops.aten.silu(x)", "torch.ops.aten.silu.default(x)", "nn.SiLU()(x)"],
    "aten::mm": ["x @ x.T", "F.linear(x, x)", "torch.mm(x, x.T)", "nn.Linear(4, 3, bias=False)(x)"],
    "aten::rnn_tanh": [
        "nn.RNN(4, 2)(x)",
        "torch.rnn_tanh(x[None], x[None, :1, :2], [x[:2], x[:2, :2]], False, 1, 0., False, False, False)",
        "torch._VF.rnn_tanh(x[None], x[None, :1, :2], [x[:2], x[:2, :2]], False, 1, 0., False, False, False)",
        "torch.ops.aten.rnn_tanh(x[None], x[None, :1, :2], [x[:2], x[:2, :2]], False, 1, 0., False, False, False)",
        "torch.ops.aten.rnn_tanh.input(x[None], x[None, :1, :2], [x[:2], x[:2, :2]], False, 1, 0.,"
        " False, False, False)",
    ],
    "aten::batch_norm": ["nn.BatchNorm1d(4)(x)", "torch.batch_norm(x, None, None, None, None, True, 0.1, 1e-5, True)"],
    "aten::native_batch_norm": ["torch.native_batch_norm(x, None, None, None, None, True, 0.1, 1e-5)"],
    "torch.func": [
        "torch.func.vmap(torch.sin)(x)",
        "torch.vmap(torch.sin)(x)",
        "torch.func.grad(torch.sin)(x[0, 0])",
        "exec('import torch.func', globals())",
        "exec('from torch import func', globals())",
        "exec('from torch.func import grad', globals())",
        "__import__('torch.func')",
        "__import__('importlib').import_module('torch.func')",
    ],
    "torch.autograd.functional": ["torch.autograd.functional.jacobian(torch.sin, x)"],
    "torch.optim.lr_scheduler": ["torch.optim.lr_scheduler.StepLR(None, 1)"],
    "torch.ao": ["torch.ao.nn.quantized.Linear(4, 2)", "__import__('torch.ao.quantization')"],
    "torch.amp.GradScaler": ["torch.amp.GradScaler('cpu')", "torch.cuda.amp.GradScaler()"],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, way", [(name, way) for name, ways in WAYS.items() for way in ways])
def test_forbidden(answer, name, way):
    made = answer(f"def solve():\n    global x\n    return {way}\n")
    with guarded((name,)):
        message = refusal(made.solve)
    assert name in message and "禁用" in message and "\n" not in message


@pytest.mark.parametrize(
    "name", ["torch.cdist", "F.gelu", "F.max_pool2d", "nn.RNN", "torch.func.vmap", "Tensor.softmax"]
)
def test_aliases_taken_before_the_guard(answer, name):
    path, _, attribute = name.rpartition(".")
    path = {"F": "torch.nn.functional", "nn": "torch.nn", "Tensor": "torch"}.get(path, path)
    take = (
        "from torch import Tensor; alias = Tensor.softmax"
        if name == "Tensor.softmax"
        else (f"from {path} import {attribute} as alias")
    )
    use = {
        "torch.cdist": "(x, x)",
        "F.max_pool2d": "(x[None], 2)",
        "nn.RNN": "(4, 2)",
        "torch.func.vmap": "(torch.sin)",
    }
    use = use.get(name, "(x, 0)" if "softmax" in name else "(x)")
    made = answer(f"{take}\nkept = [alias]\ndef solve():\n    return kept[0]{use}\n")
    with guarded((name,)):
        assert name in refusal(made.solve)
    made.solve()


def test_operators_inside_the_backward_pass(answer):
    made = answer(
        """
        class Mine(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.exp()
            @staticmethod
            def backward(ctx, g):
                return torch.ops.aten.silu(g)
        def solve(x):
            return Mine.apply(x)
        def learn(x):
            F.gelu(x).sum().backward()
        """
    )
    x = torch.rand(3, requires_grad=True)
    with guarded(("aten::silu",)):
        loss = made.solve(x).sum()
        refusal(loss.backward)
        (x * 2).sum().backward()
    with guarded(("aten::gelu_backward",)):
        refusal(made.learn, x)
        F.gelu(x).sum().backward()


def test_methods_reached_through_a_library(answer):
    """The learner's code need not make the call itself."""
    made = answer("import functools\ndef solve(xs):\n    return list(map(functools.partial(torch.cdist, xs[0]), xs))\n")
    with guarded(("torch.cdist",)):
        refusal(made.solve, [torch.rand(2, 3)])


def test_while_the_answer_is_imported(answer):
    for text in ("y = torch.cdist(x, x)", "import torch.func", "class Mine(nn.RNN): pass\nMine(2, 3)"):
        with guarded(("torch.cdist", "torch.func", "nn.RNN")):
            refusal(answer, text)


# ── modules that are not imported yet ──


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package on the path that nobody has imported."""
    folder = tmp_path / "site" / "kata_far"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("def near(x):\n    return x\n")
    (folder / "deep.py").write_text(
        "import functools\n"
        "def far(x):\n    return x + 1\n"
        "@functools.cache\n"
        "def kept(x):\n    return x\n"
        "class Thing:\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(folder.parent))
    yield "kata_far"
    for name in [name for name in sys.modules if name.startswith("kata_far")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["far", "kept", "Thing"])
@pytest.mark.parametrize(
    "way",
    [
        "from kata_far.deep import {0}\n    return {0}({1})",
        "import kata_far.deep as d\n    return d.{0}({1})",
        "import importlib\n    return importlib.import_module('kata_far.deep').{0}({1})",
        "return __import__('kata_far.deep').deep.{0}({1})",
    ],
)
def test_functions_of_modules_not_imported_yet(answer, package, name, way):
    made = answer(f"def solve():\n    {way.format(name, '' if name == 'Thing' else '1')}\n")
    with guarded((f"kata_far.deep.{name}",)):
        assert f"kata_far.deep.{name}" in refusal(made.solve)
        refusal(made.solve)  # the second time it is imported already
        with paused():
            made.solve()
        refusal(made.solve)
    made.solve()


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize(
    "way",
    [
        "import kata_far",
        "import kata_far.deep",
        "from kata_far import deep",
        "from kata_far.deep import far",
        "import importlib; importlib.import_module('kata_far.deep')",
        "from importlib import import_module; import_module('kata_far')",
        "__import__('kata_far')",
    ],
)
def test_modules(answer, package, way, loaded):
    made = answer(f"def solve():\n    {way}\n")
    if loaded:
        importlib.import_module("kata_far.deep")
    with guarded(("kata_far",)):
        assert "禁用 kata_far" in refusal(made.solve)
        importlib.import_module("kata_far")  # the grader's own
        import kata_far  # noqa: F401
    made.solve()


def test_modules_that_are_not_installed(answer):
    made = answer("def solve():\n    try:\n        import torch_geometric\n    except ImportError:\n        return 1\n")
    with guarded(("torch_geometric", "torch_geometric.nn.GCNConv")):
        refusal(made.solve)
    assert made.solve() == 1


def test_what_a_library_imports_for_itself(answer, package, tmp_path):
    (tmp_path / "site" / "kata_user.py").write_text("import kata_far\ndef use():\n    import kata_far.deep\n")
    made = answer("def solve():\n    import kata_user\n    kata_user.use()\n")
    with guarded(("kata_far",)):
        made.solve()
    del sys.modules["kata_user"]


def test_torchvision_and_sklearn(answer):
    """By the names that graders forbid, whether they are imported already or not."""
    made = answer("def solve():\n    from torchvision.ops import sigmoid_focal_loss\n    sigmoid_focal_loss(x, x)\n")
    with guarded(("torchvision.ops.sigmoid_focal_loss",)):
        assert "torchvision.ops.sigmoid_focal_loss" in refusal(made.solve)
    made = answer("def solve():\n    import sklearn.metrics\n")
    with guarded(("sklearn",)):
        refusal(made.solve)


# ── what is not refused ──


def test_the_graders_own_calls(answer):
    made = answer("def solve(f):\n    return f(x)\n")
    x, names = (
        torch.rand(3, 4),
        ("torch.cdist", "F.gelu", "nn.RNN", "aten::mm", "torch.func", "Tensor.softmax", "sklearn"),
    )
    with guarded(names):
        torch.cdist(x, x), F.gelu(x), nn.RNN(4, 2), x @ x.T, torch.func.vmap(torch.sin)(x), x.softmax(0)
        refusal(made.solve, lambda x: F.gelu(x))  # a test of the engine is no grader


def test_code_of_a_grader_that_the_answer_calls(answer):
    path = learner.GRADERS + "ch1_basics/test_t000_answer.py"
    namespace = {"F": F}
    exec(compile("def given(x):\n    return F.gelu(x)\n", path, "exec"), namespace)
    made = answer("def solve(f):\n    return f(x)\ndef own():\n    return F.gelu(x)\n")
    namespace["own"] = made.own
    exec(compile("def back(x):\n    return own()\n", path, "exec"), namespace)
    with guarded(("F.gelu",)):
        made.solve(namespace["given"])
        refusal(made.solve, namespace["back"])


def test_graders_folder():
    from torch_kata.catalog import ROOT

    assert str(ROOT / "graders") + "/" == learner.GRADERS


def test_other_calls(answer):
    made = answer("def solve():\n    return F.relu(x @ x.T).softmax(0), nn.LSTM(4, 2)(x), torch.einsum('ij->ji', x)\n")
    with guarded(("torch.cdist", "F.gelu", "nn.RNN", "aten::silu", "aten::rnn_tanh", "torch.func", "sklearn")):
        made.solve()


def test_values_are_the_same_under_guard(answer):
    made = answer(
        """
        def solve():
            y = F.max_pool2d(x[None], 2, return_indices=True)
            z = torch.nn.utils.clip_grad_norm_([torch.ones(2, requires_grad=True)], max_norm=1.0, foreach=False)
            return *y, z, torch.cdist(x, x, p=1.0), F.softmax(x, dim=-1, dtype=torch.float64)
        """
    )
    names = ("F.max_pool2d", "torch.nn.utils.clip_grad_norm_", "torch.cdist", "F.softmax", "aten::mm", "F.gelu")
    plain = made.solve()
    with count_calls(*names) as counts:
        watched = made.solve()
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert counts == {"F.max_pool2d": 1, "torch.nn.utils.clip_grad_norm_": 1, "torch.cdist": 1, "F.softmax": 1}


# ── guards ──


def test_paused(answer):
    made = answer(
        "def solve():\n    return torch.cdist(x, x), F.gelu(x), nn.RNN(4, 2), torch.func.vmap(torch.sin)(x)\n"
    )
    with guarded(("torch.cdist",)), guarded(("F.gelu", "nn.RNN", "torch.func")):
        with paused():
            made.solve()
        refusal(made.solve)


def test_guard_of_an_unknown_name_leaves_nothing():
    for names in (("torch.cdist", "torch.no_such_thing"), ("nn.RNN", "aten::no_such_operator")):
        with pytest.raises(AttributeError), guarded(names):
            pass


def test_off_after_an_exception(answer):
    with pytest.raises(ZeroDivisionError), guarded(("torch.cdist", "F.gelu", "aten::mm")):
        raise ZeroDivisionError


def test_count_calls(answer):
    made = answer(
        """
        def solve():
            for _ in range(3):
                F.gelu(x)
            x @ x.T
            torch.cdist(x, x)
            return nn.GELU()(x)
        """
    )
    with count_calls("F.gelu", "aten::mm", "torch.cdist", "nn.GELU", "aten::silu") as counts:
        F.gelu(torch.rand(2))
        assert not counts
        made.solve()
    assert counts == {"F.gelu": 4, "aten::mm": 1, "torch.cdist": 1, "nn.GELU": 1}
    made.solve()
    assert counts["F.gelu"] == 4


def test_counting_inside_a_guard(answer):
    made = answer("def solve():\n    return torch.cdist(x, x) + F.gelu(torch.ones(1))\n")
    with guarded(("nn.RNN", "torch.func")), count_calls("torch.cdist", "F.gelu") as counts:
        made.solve()
    assert counts == {"torch.cdist": 1, "F.gelu": 1}


def test_other_threads(answer):
    made = answer("def solve():\n    return F.gelu(x)\n")
    with guarded(("F.gelu",)):
        refusal(call_within, 10, made.solve)
    assert call_within(10, made.solve).shape == (3, 4)
    found = []
    made = answer("def solve():\n    return torch.cdist(x, x)\n")
    with guarded(("torch.cdist",)):  # its code itself is watched, in every thread
        thread = threading.Thread(target=lambda: found.append(refusal(made.solve)))
        thread.start()
        thread.join()
    assert len(found) == 1


def test_mark():
    mark = forbid("torch.cdist", "F.gelu")
    assert mark.name == "forbid" and mark.args == ("torch.cdist", "F.gelu")


# ── counted work ──


def test_counted_work(answer):
    made = answer("def loop(n):\n    y = x\n    for _ in range(n):\n        y = y + 1\n    return y.sum()\n")
    path = next(iter(learner.FILES))
    with calls.counted_work({path}) as counts:
        made.loop(10)
        torch.ones(5)
    assert counts["ops"] == 12 and counts["elements"] == 10 * 12 + 1 + 5 and counts["aten::add.Tensor"] == 10
    assert 21 <= counts["lines"] <= 24
    with pytest.raises(calls.TooMuchWork), calls.counted_work({path}, 20):
        made.loop(100)
    idle = answer("def idle(n):\n    for _ in range(n):\n        pass\n")
    with pytest.raises(calls.TooMuchWork), calls.counted_work({path}, 20):
        idle.idle(1000)
    assert sys.gettrace() is None
