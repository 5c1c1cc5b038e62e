"""006 · 裝置之間的搬移：評分

沒有 GPU 的機器上，meta 代替目標裝置（它有形狀、dtype 與計算圖，沒有值），pretended 代替 GPU 上的 tensor；
--device cuda 時，test_round_trip 真的來回一趟。
"""

import contextlib
from collections import OrderedDict, namedtuple

import pytest

from torch_kata.checks import assert_close, assert_equal, assert_type, check, fail, np, torch

Pair = namedtuple("Pair", "image label")

CONTAINERS = {
    "dict": lambda a, b: {"b": b, "a": a},
    "OrderedDict": lambda a, b: OrderedDict([("z", a), ("y", b)]),
    "list": lambda a, b: [a, b],
    "tuple": lambda a, b: (a, b),
    "namedtuple": lambda a, b: Pair(a, b),
}


def walk(obj, path="結果"):
    """每一層的（路徑，物件），由外而內。"""
    yield path, obj
    keys = list(obj) if isinstance(obj, dict) else range(len(obj)) if isinstance(obj, list | tuple) else ()
    for key in keys:
        yield from walk(obj[key], f"{path}[{key!r}]")


def same_paths(result, original):
    """（路徑，得到的物件，原來的物件）；結構不同時說出第一個不同之處。"""
    found = dict(walk(result))
    for path, thing in walk(original):
        if path not in found:
            fail(f"結構變了：沒有 {path}", f"no {path}")
        yield path, found[path], thing
    extra = found.keys() - dict(walk(original)).keys()
    check(not extra, f"結構變了：多出 {sorted(extra)[:1]}", f"extra {sorted(extra)}")


def assert_moved(result, original, kind):
    """每個 tensor 都在 kind 上，形狀與 dtype 如前。"""
    for path, got, thing in same_paths(result, original):
        if torch.is_tensor(thing):
            check(torch.is_tensor(got), f"{path}應為 tensor，得到 {type(got).__name__}", f"{path} {type(got).__name__}")
            facts = (got.device.type, tuple(got.shape), got.dtype)
            assert_equal(facts, (kind, tuple(thing.shape), thing.dtype), what=f"{path} 的裝置、形狀、dtype ")


def assert_same_structure(result, original):
    """容器的型別與鍵如前，其餘的葉子是同一個物件。"""
    for path, got, thing in same_paths(result, original):
        if isinstance(thing, dict | list | tuple):
            right = type(got) is type(thing)
            check(right, f"{path}應為 {type(thing).__name__}，得到 {type(got).__name__}", f"{path} {type(got)}")
            if isinstance(thing, dict):
                assert_equal(list(got), list(thing), what=f"{path} 的鍵")
        elif not torch.is_tensor(thing):
            check(got is thing, f"{path}應是原來的物件 {thing!r}，得到 {got!r}", f"{path} {type(got).__name__}")


@pytest.fixture
def batch(rng):
    """層層相套的 batch，葉子有 tensor 也有別的東西。"""
    pair = Pair(rng.normal(()), None)
    return {
        "image": rng.normal((2, 3)),
        "rest": [rng.integers(0, 9, (4,)), ("cat", rng.bernoulli(0.5, (1, 5), dtype="bool"), pair)],
        "deep": OrderedDict(scale=rng.normal((3, 1, 2), dtype="float64"), empty=[], size=7),
    }


@pytest.mark.behaviour
@pytest.mark.parametrize("cuda, mps, kind", [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_pick_device(submission, monkeypatch, cuda, mps, kind):
    """裝置的優先順序：cuda、mps、cpu"""
    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: cuda)
        patch.setattr(torch.backends.mps, "is_available", lambda: mps)
        patch.setattr(torch.backends.mps, "is_built", lambda: mps)
        picked = submission.pick_device()
    assert_type(picked, torch.device, what="pick_device() ")
    assert_equal(picked.type, kind, what=f"{'有' if cuda else '沒有'} cuda、{'有' if mps else '沒有'} mps 時的裝置")


@pytest.mark.shape
def test_every_tensor_moves(submission, batch):
    """每一層的 tensor 都到目標裝置，形狀與 dtype 不變"""
    assert_moved(submission.to_device(batch, "meta"), batch, "meta")
    assert_moved(submission.to_device(batch, torch.device("meta")), batch, "meta")


@pytest.mark.behaviour
@pytest.mark.parametrize("kind", list(CONTAINERS))
def test_container_type(submission, rng, kind):
    """容器的型別、鍵與順序不變"""
    make = CONTAINERS[kind]
    original = make(rng.normal((2, 3)), [make(rng.normal((5,)), "cat")])
    assert_same_structure(submission.to_device(original, "meta"), original)


@pytest.mark.behaviour
def test_other_leaves(submission, rng):
    """不是 tensor 的葉子以同一個物件傳回"""

    class Movable:
        """不是 tensor，卻有 to 與 cpu。"""

        def to(self, *args, **kwargs):
            return "to() 的結果"

        cpu = to

        def __repr__(self):
            return "（自己有 to 方法）"

    leaves = [None, 10**9, 2.5, "cat", b"raw", np.arange(3), object(), range(4), Movable()]
    original = {"x": rng.normal((2,)), "leaves": [*leaves, tuple(leaves)], "bare": None}
    assert_same_structure(submission.to_device(original, "meta"), original)
    assert_same_structure(submission.to_cpu(original), original)
    check(submission.to_device("cat", "meta") == "cat", "單獨一個字串應原樣傳回", "bare leaf")


@pytest.mark.behaviour
def test_no_copy(submission, batch, device):
    """已在目標裝置上的 tensor 不複製"""
    for path, got, original in same_paths(submission.to_device(batch, device), batch):
        if torch.is_tensor(original):
            there = torch.is_tensor(got) and got.data_ptr() == original.data_ptr()
            check(there, f"{path} 已在 {device} 上，卻被複製了", f"copied {path}")
    x = torch.ones(2, 3)
    check(submission.to_cpu([x])[0].data_ptr() == x.data_ptr(), "to_cpu 複製了已在 CPU 上的 tensor", "copied by to_cpu")


@pytest.mark.gradient
def test_gradient_graph(submission, rng):
    """搬到另一個裝置後仍連著計算圖"""
    moved = submission.to_device((rng.normal((2, 3), requires_grad=True),), "meta")[0]
    check(moved.grad_fn is not None, "搬移後的 tensor 沒有 grad_fn：計算圖斷了（detach 或 .data？）", "cut off")


@pytest.mark.gradient
def test_round_trip(submission, rng, device):
    """搬到評分的裝置再搬回 CPU：數值與梯度"""
    values, cotangent = rng.normal((257, 129)).cpu(), rng.normal((257, 129)).cpu()
    x = (values.pin_memory() if device.type == "cuda" else values.clone()).requires_grad_()
    there = submission.to_device({"x": [3 * x, x]}, device, non_blocking=True)["x"]
    assert_equal([item.device.type for item in there], 2 * [device.type], what="搬移後的裝置")
    back = submission.to_cpu([there[0] - there[1]])[0]
    check(back.requires_grad, "來回一趟後計算圖斷了（detach 或 .data？）", "cut off")
    assert_close(back, 3 * values.double() - values.double(), what="來回一趟的值")
    back.backward(cotangent)
    assert_close(x.grad, 2 * cotangent.double(), what="來回一趟的梯度")


@pytest.mark.behaviour
def test_input_is_left_alone(submission, batch):
    """不改動傳入的容器"""
    before = list(walk(batch, "輸入"))
    submission.to_device(batch, "meta")
    after = dict(walk(batch, "輸入"))
    changed = [path for path, thing in before if after.get(path) is not thing]
    check(not changed, f"{'、'.join(changed[:1])}被換掉了：應建新的容器", f"changed {changed}")


@pytest.mark.behaviour
@pytest.mark.parametrize("non_blocking", [False, True])
def test_non_blocking(submission, batch, non_blocking):
    """non_blocking 傳到每一次搬移"""
    with recorded_moves() as moves:
        submission.to_device(batch, "meta", non_blocking=non_blocking)
    right = moves and all(flag == non_blocking for flag in moves)
    check(right, f"每次搬移的 non_blocking 應為 {non_blocking}，實際依序是 {moves}", f"moves {moves}")


@contextlib.contextmanager
def recorded_moves():
    """區塊裡每個帶 non_blocking 的運算（to、copy_）實際收到的值。"""
    from torch.utils._python_dispatch import TorchDispatchMode

    moves = []

    class Watch(TorchDispatchMode):
        _should_skip_dynamo = classmethod(lambda cls: False)  # 否則 torch 會匯入編譯器，要好幾秒

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names = [argument.name for argument in func._schema.arguments]
            if "non_blocking" in names:
                given = dict(zip(names, args, strict=False)) | (kwargs or {})
                moves.append(bool(given.get("non_blocking")))
            return func(*args, **(kwargs or {}))

    with Watch():
        yield moves


@pytest.mark.behaviour
def test_to_cpu(submission, rng):
    """to_cpu 把 cuda 上的 tensor 搬回 CPU，數值、結構與計算圖不變"""
    on_cuda = pretended("cuda")
    values = rng.normal((2, 3)).cpu()
    x, n = on_cuda(values, requires_grad=True), on_cuda(torch.arange(4))
    original = {"x": x, "rest": Pair([n, "cat"], (torch.ones(5),))}
    result = submission.to_cpu(original)
    assert_same_structure(result, original)
    assert_moved(result, original, "cpu")
    assert_equal(result["x"].detach(), values, what="搬回 CPU 的值")
    check(result["x"].grad_fn is not None, "搬回 CPU 後沒有 grad_fn：計算圖斷了（detach 或 .data？）", "cut off")


@pytest.mark.behaviour
def test_to_cpu_from_mps(submission, rng):
    """to_cpu 也搬回別種裝置（mps）上的 tensor"""
    values = rng.normal((2, 3)).cpu()
    result = submission.to_cpu([pretended("mps")(values)])[0]  # 不求梯度：沒有 mps 的 torch 記不了它的計算圖
    found = result.device.type
    check(found == "cpu", f"mps 上的 tensor 應搬回 cpu，得到 {found}：不要只認 is_cuda", f"left on {found}")
    assert_equal(result, values, what="搬回 CPU 的值")


def pretended(kind):
    """沒有 GPU 也能用的 tensor：自稱在 cuda:0 或 mps:0，值其實在 CPU。

    作法同 FakeTensorMode，但那要先匯入編譯器（好幾秒），而且沒有值可以比較。只能前向。
    """
    if kind == "cuda" and not torch.cuda.is_available():
        torch._C._ensureCUDADeviceGuardSet()  # 沒有驅動程式時，autograd 才不會去問 cuda 的 stream

    class Elsewhere(torch.Tensor):
        @staticmethod
        def __new__(cls, values, requires_grad=False):
            place, meta = torch.device(kind), values.to("meta")
            self = cls._make_subclass(cls, meta, requires_grad, dispatch_device=True, device_for_backend_keys=place)
            self.values = values
            return self

        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            if func is torch.ops.prim.device.default:
                return torch.device(kind, 0)
            kwargs = dict(kwargs or {})
            to_cpu = not isinstance(args[0], cls) or str(kwargs.get("device")) == "cpu"
            kwargs |= {"device": "cpu"} if "device" in kwargs else {}
            result = func(*(item.values if isinstance(item, cls) else item for item in args), **kwargs)
            return result if to_cpu or not isinstance(result, torch.Tensor) else cls(result)

        def __repr__(self):
            return f"tensor(..., device='{kind}:0', size={tuple(self.shape)})"

    return Elsewhere
