"""085 · 模型的可視化：評分

The DOT text is judged by what it says: a small reader turns it into nodes and edges, which are compared with the
graph that autograd itself holds.
"""

import contextlib
import re
from collections import Counter
from types import SimpleNamespace

import pytest

from torch_kata.checks import assert_equal, assert_type, check, fail, nn, torch, unchanged

# ── reading DOT ──

TOKEN = re.compile(
    r"""\s+|//[^\n]*|^\#[^\n]*|/\*.*?\*/
    |(?P<sign>->|--|[{}\[\];,=:])
    |(?P<text>"(?:[^"\\]|\\.)*"|<(?:[^<>]|<[^<>]*>)*>)
    |(?P<word>[^\W\d]\w*|-?(?:\.\d+|\d+(?:\.\d*)?))""",
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)


class Reader:
    """The nodes (id to label) and edges (pairs of ids) of a digraph, by Graphviz's grammar."""

    def __init__(self, text):
        self.tokens, self.at, self.labels, self.edges = [], 0, {}, []
        place = 0
        while place < len(text):
            found = TOKEN.match(text, place)
            self.expect(found, f"看不懂「{text[place : place + 30]}」")
            place = found.end()
            if found.lastgroup:
                self.tokens.append((found.lastgroup, found.group()))
        self.expect(self.next() == ("word", "digraph"), "應以 digraph 開頭")
        if self.peek() != ("sign", "{"):
            self.name()
        self.block()
        self.expect(self.at == len(self.tokens), "最後一個 } 之後還有文字")

    def expect(self, condition, message):
        if not condition:
            fail(f"不是合法的 DOT：{message}", "no DOT")

    def peek(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")

    def next(self):
        token = self.peek()
        self.at += 1
        return token

    def take(self, sign):
        taken = self.peek() == ("sign", sign)
        self.at += taken
        return taken

    def name(self):
        kind, text = self.next()
        self.expect(kind in ("word", "text"), f"這裡應是一個名稱，得到「{text}」")
        return re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nlr" else m[1], text[1:-1]) if kind == "text" else text

    def block(self):
        self.expect(self.take("{"), "缺少 {")
        while not self.take("}"):
            self.expect(self.peek()[0] != "end", "缺少 }")
            if not (self.take(";") or self.take(",")):
                self.statement()

    def statement(self):
        if self.peek() == ("word", "subgraph") or self.peek() == ("sign", "{"):
            while self.peek() != ("sign", "{"):
                self.next()
            return self.block()
        defaults = self.peek() in [("word", "graph"), ("word", "node"), ("word", "edge")]
        ends = [self.end()]
        if self.take("="):
            return self.name()
        while self.take("->"):
            ends.append(self.end())
        attributes = self.attributes()
        if not defaults:
            for end in ends:
                self.labels.setdefault(end, end)
            if len(ends) == 1 and "label" in attributes:
                self.labels[ends[0]] = attributes["label"]
            self.edges += zip(ends, ends[1:], strict=False)
        return None

    def end(self):
        name = self.name()
        while self.take(":"):  # a port
            self.name()
        return name

    def attributes(self):
        found = {}
        while self.take("["):
            while not self.take("]"):
                key = self.name()
                self.expect(self.take("="), f"屬性 {key} 後面缺少 =")
                found[key] = self.name()
                self.take(";") or self.take(",")
        return found


# ── the truth, and what was drawn ──


def truth(output):
    """autograd's graph: each function once, and the pairs (next function, function)."""
    functions, edges, waiting = {output.grad_fn: None}, [], [output.grad_fn]
    while waiting:
        function = waiting.pop()
        for source, _ in function.next_functions:
            if source is not None:
                edges.append((source, function))
                if source not in functions:
                    functions[source] = None
                    waiting.append(source)
    return list(functions), edges


def kind_of(function, params):
    """What stands for a function in the comparison: its name; for a leaf its own, or that it is one."""
    leaf = getattr(function, "variable", None)
    if leaf is None:
        return function.name()
    return next((name for name, tensor in params.items() if tensor is leaf), "leaf")


def expected(output, params):
    """How often each kind of node and each kind of edge is to be drawn."""
    functions, edges = truth(output)
    nodes = Counter(kind_of(function, params) for function in functions)
    return nodes, Counter(tuple(kind_of(end, params) for end in edge) for edge in edges)


def drawn(dot, params):
    """The same of a DOT text: each AccumulateGrad merged with the leaf it comes from, without a box for the output."""
    assert_type(dot, str, "autograd_dot 的傳回值")
    reader = Reader(dot)
    into = {end: start for start, end in reader.edges}
    starts = {start for start, _ in reader.edges}
    kinds, merged = {}, {}
    for node, label in reader.labels.items():
        named = [name for name in params if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", label)]
        function = re.search(r"\w*Backward\w*", label)
        if named:
            kinds[node] = max(named, key=len)
        elif function:
            kinds[node] = function.group()
        elif "AccumulateGrad" in label and node in into:
            merged[node] = into[node]
        elif node in starts:
            kinds[node] = "leaf"
    twice = [count for count in Counter(merged.values()).values() if count > 1]
    check(not twice, "同一個葉子有兩個 AccumulateGrad 節點，只能有一個", "two AccumulateGrad")
    edges = Counter()
    for start, end in reader.edges:
        start = merged.get(start, start)
        if end not in merged and start in kinds and end in kinds:
            edges[kinds[start], kinds[end]] += 1
    labels = {kind: reader.labels[node] for node, kind in kinds.items()}
    return SimpleNamespace(nodes=Counter(kinds.values()), edges=edges, labels=labels)


def assert_counts(found, wanted, what):
    """The same kinds, as often."""
    for kind in sorted({*found, *wanted}, key=str):
        if found[kind] != wanted[kind]:
            name = " -> ".join(kind) if isinstance(kind, tuple) else kind
            shown = {str(key): count for key, count in sorted(found.items(), key=str)}
            fail(f"{what} {name} 應有 {wanted[kind]} 個，畫了 {found[kind]} 個", shown)


def network(rng, device):
    """The loss of a small network, and its parameters, of which one is not used."""
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3)).to(device)
    params = {**dict(model.named_parameters()), "unused": rng.normal((7, 5), requires_grad=True)}
    return model(rng.normal((4, 5))).pow(2).mean(), params


def shared(rng, device):
    """Functions and leaves that are used several times; one leaf has no name."""
    w, v, x = (rng.normal(shape, requires_grad=True) for shape in ((3, 4), (4, 6), (2, 3)))
    h = (x @ w).exp()
    out = ((h * h) @ v).sin() + (h @ v).cos()
    return out.sum() + (w * w).sum() + h.sum(), {"layer.w": w, "layer.v": v}


GRAPHS = pytest.mark.parametrize("make", [network, shared])


@pytest.mark.behaviour
@GRAPHS
def test_dot(submission, rng, device, make):
    """autograd_dot 是合法的 DOT"""
    output, params = make(rng, device)
    dot = submission.autograd_dot(output, params)
    assert_type(dot, str, "autograd_dot 的傳回值")
    Reader(dot)


@pytest.mark.behaviour
@GRAPHS
def test_nodes(submission, rng, device, make):
    """每個 grad_fn、每個走得到的葉子各畫一次"""
    output, params = make(rng, device)
    nodes, _ = expected(output, params)
    assert_counts(drawn(submission.autograd_dot(output, params), params).nodes, nodes, "節點")


@pytest.mark.behaviour
@GRAPHS
def test_edges(submission, rng, device, make):
    """邊的方向與條數，x * x 有兩條"""
    output, params = make(rng, device)
    _, edges = expected(output, params)
    assert_counts(drawn(submission.autograd_dot(output, params), params).edges, edges, "邊")


@pytest.mark.behaviour
@GRAPHS
def test_labels(submission, rng, device, make):
    """參數的標籤寫出名稱與形狀"""
    output, params = make(rng, device)
    labels = drawn(submission.autograd_dot(output, params), params).labels
    for name in expected(output, params)[0].keys() & params.keys():
        label, shape = labels.get(name), tuple(params[name].shape)
        check(label, f"沒有標籤含有名稱 {name} 的節點", f"no {sorted(labels)}")
        numbers = r"\D+".join(map(str, shape))
        written = re.search(rf"(?<!\d){numbers}(?!\d)", label.replace(name, " ", 1))
        check(written, f"參數 {name} 的標籤應含有形狀 {shape}，得到「{label}」", f"label {sorted(labels.items())}")


@pytest.mark.behaviour
@pytest.mark.parametrize("given", [False, True], ids=["default", "None"])
def test_no_names(submission, rng, device, given):
    """params 為 None 也可以"""
    output, _ = shared(rng, device)
    found = drawn(submission.autograd_dot(output, None) if given else submission.autograd_dot(output), {})
    nodes, edges = expected(output, {})
    assert_counts(found.nodes, nodes, "節點")
    assert_counts(found.edges, edges, "邊")


@pytest.mark.behaviour
def test_long_chain(submission, rng):
    """5,000 個運算的鏈"""
    w = rng.normal((2, 3), requires_grad=True)
    output = w
    for _ in range(5000):
        output = output + 1
    try:
        dot = submission.autograd_dot(output, {"w": w})
    except RecursionError:
        fail("5,000 個運算的鏈超過了 Python 的遞迴上限：改用自己的堆疊", "recursion")
    found, (nodes, edges) = drawn(dot, {"w": w}), expected(output, {"w": w})
    assert_counts(found.nodes, nodes, "節點")
    assert_counts(found.edges, edges, "邊")


# ── module_summary ──


def tied(rng):
    """A network in train mode, and what its summary is: a module used twice, a tied weight, a frozen batch norm."""

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(9, 4)  # called last
            self.act = nn.Tanh()  # called twice
            self.up, self.again = nn.Linear(6, 9), nn.Linear(6, 9)
            self.again.weight = self.up.weight
            self.block = nn.Sequential(nn.Linear(9, 9), nn.BatchNorm1d(9), nn.Dropout(0.5))
            self.modes, self.fault = [], None

        def forward(self, x):
            self.modes.append((self.training, torch.is_grad_enabled()))
            h = self.block(self.act(self.up(x))) + self.again(x)
            if self.fault:
                raise self.fault
            h = self.block[0](self.act(h))
            return self.head(h)

    model = rng.fill_(Network()).to(rng.device).train()
    model.block[1].eval()
    model.head.bias.requires_grad_(False)
    weights, batch = 9 * 6, 5
    rows = [
        ("up", "Linear", (batch, 9), weights + 9),
        ("act", "Tanh", (batch, 9), 0),
        ("block.0", "Linear", (batch, 9), 9 * 9 + 9),
        ("block.1", "BatchNorm1d", (batch, 9), 18),
        ("block.2", "Dropout", (batch, 9), 0),
        ("again", "Linear", (batch, 9), 9),  # its bias
        ("act", "Tanh", (batch, 9), 0),
        ("block.0", "Linear", (batch, 9), 0),
        ("head", "Linear", (batch, 4), 9 * 4 + 4),
    ]
    return model, rng.normal((batch, 6)), rows


def convolutional(rng):
    """The same of a network with images, whose batch norm and pool change shapes differently."""
    model = nn.Sequential(nn.Conv2d(3, 5, (3, 2)), nn.MaxPool2d((2, 1)), nn.Flatten(), nn.Linear(5 * 3 * 8, 2))
    rows = [
        ("0", "Conv2d", (4, 5, 6, 8), 5 * 3 * 3 * 2 + 5),
        ("1", "MaxPool2d", (4, 5, 3, 8), 0),
        ("2", "Flatten", (4, 120), 0),
        ("3", "Linear", (4, 2), 120 * 2 + 2),
    ]
    return model.to(rng.device), rng.normal((4, 3, 8, 9)), rows


MODELS = pytest.mark.parametrize("make", [tied, convolutional])


def hooks_of(model):
    """What is attached to every module: its hooks, and methods of its own."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    attached = {}
    for name, module in model.named_modules():
        for kind in kinds:
            attached[f"{name or 'model'} 的 {kind.strip('_')}"] = len(getattr(module, kind, ()))
        attached[f"{name or 'model'} 被換掉的方法"] = sum(
            callable(vars(module).get(m)) for m in ("forward", "__call__")
        )
    everywhere = torch.nn.modules.module
    for kind in ("_global_forward_hooks", "_global_forward_pre_hooks"):
        attached[f"全域的 {kind.strip('_')}"] = len(getattr(everywhere, kind))
    return attached


def assert_no_hooks(before, model):
    now = hooks_of(model)
    for what, count in before.items():
        check(now[what] == count, f"{what}由 {count} 個變成 {now[what]} 個", f"{what} {now[what]}")


@pytest.mark.behaviour
@MODELS
def test_rows(submission, rng, make):
    """module_summary 的名稱、類別與順序：每次呼叫一列"""
    model, example, rows = make(rng)
    found = submission.module_summary(model, example)
    assert_type(found, list, "module_summary 的傳回值")
    assert_equal([(row.name, row.type) for row in found], [row[:2] for row in rows], "各列的名稱與類別")


@pytest.mark.shape
@MODELS
def test_output_shapes(submission, rng, make):
    """module_summary 的 output_shape"""
    model, example, rows = make(rng)
    found = submission.module_summary(model, example)
    assert_equal([tuple(row.output_shape) for row in found], [row[2] for row in rows], "各列的 output_shape")


@pytest.mark.numeric
@MODELS
def test_params(submission, rng, make):
    """module_summary 的 params，加起來等於參數總數"""
    model, example, rows = make(rng)
    total = sum(parameter.numel() for parameter in model.parameters())
    found = [row.params for row in submission.module_summary(model, example)]
    assert_equal(found, [row[3] for row in rows], "各列的 params")
    assert_equal(sum(found), total, "params 的總和")


@pytest.mark.behaviour
def test_modes(submission, rng):
    """module_summary 以 eval 模式、不記梯度執行一次模型"""
    model, example, _ = tied(rng)
    submission.module_summary(model, example)
    assert_equal(model.modes, [(False, False)], "每次執行時的 (training, grad mode)")


@pytest.mark.behaviour
@pytest.mark.parametrize("fault", [None, ArithmeticError("模型壞了")], ids=["returns", "raises"])
def test_untouched(submission, rng, fault):
    """module_summary 之後，模型與每個子模組的模式都和原來一樣"""
    model, example, _ = tied(rng)
    model.fault = fault
    with unchanged(model, example), contextlib.suppress(ArithmeticError):
        submission.module_summary(model, example)


@pytest.mark.behaviour
@pytest.mark.parametrize("fault", [None, ArithmeticError("模型壞了")], ids=["returns", "raises"])
def test_hooks(submission, rng, fault):
    """module_summary 不留下 hook，原有的 hook 還在"""
    model, example, _ = tied(rng)
    model.fault = fault
    model.up.register_forward_hook(lambda module, inputs, output: None)
    before = hooks_of(model)
    with contextlib.suppress(ArithmeticError):
        submission.module_summary(model, example)
    assert_no_hooks(before, model)
