"""087 · 模型的版本控制：評分

The processes that save at once, and the one that dies while it saves, are forked where that is safe: that costs a
hundredth of a new Python. In those that race every write is slow, so that a race on the number shows each time.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import warnings

import pytest

from torch_kata.checks import (
    assert_equal,
    assert_type,
    call_within,
    check,
    count_calls,
    fail,
    nothing_left_running,
    raises,
    torch,
)

try:
    import resource
except ImportError:  # Windows
    resource = None

HELPER = '''
import importlib, os, sys, time
import torch


def slow_disk():
    """From now on this process waits before each file it opens for writing, folder it makes, and renaming."""
    def wait(event, arguments):
        writes = event == "open" and (set(arguments[1] or "") & set("wax+") or (arguments[2] or 0) & 3)
        if writes or event in ("os.rename", "os.link", "os.mkdir"):
            time.sleep(0.01)

    real = torch.save

    def save(*arguments, **settings):
        time.sleep(0.02)
        real(*arguments, **settings)
        time.sleep(0.02)

    torch.save = save
    sys.addaudithook(wait)


def save_some(answer, root, worker, barrier, pipe):
    """Three versions of one name, at the same time as the others; sends (number, worker, step) of each."""
    torch.set_num_threads(1)
    try:
        registry = importlib.import_module(answer).ModelRegistry(root)
        slow_disk()
        saved = []
        for step in range(3):
            barrier.wait(90)
            state = {"weight": torch.full((20, 30), 100.0 * worker + step)}
            saved.append((registry.save("net", state, metadata={"worker": worker, "step": step}), worker, step))
        pipe.send((saved, ""))
    except BaseException as error:
        barrier.abort()
        pipe.send(([], f"{type(error).__name__}: {error}"[:300]))
'''


@pytest.fixture
def helper(tmp_path):
    """What the other processes import, under a name that nobody can know beforehand."""
    name = f"kata_savers_{os.urandom(8).hex()}"
    (tmp_path / f"{name}.py").write_text(HELPER, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        yield importlib.import_module(name)
    sys.modules.pop(name, None)


@pytest.fixture
def registry(submission, tmp_path):
    """A new registry, in a folder that is not there yet."""
    return submission.ModelRegistry(tmp_path / "models" / "registry")


def state_of(rng):
    """A state_dict of several dtypes, whose first tensor is by far the largest."""
    return {
        "layer.weight": rng.normal((61, 83)),
        "layer.bias": rng.normal((7,), dtype="bfloat16"),
        "layer.mask": rng.bernoulli(0.5, (3, 2), dtype="bool"),
        "layer.mean": rng.normal((5,), dtype="float64"),
        "steps": rng.integers(1, 10**6),
    }


def copy_of(state):
    return {name: value.cpu().clone() for name, value in state.items()}


def assert_loaded(registry, name, version, expected, what):
    """load(name, version) gives the state."""
    given = registry.load(name) if version == "latest" else registry.load(name, version)
    assert_type(given, tuple, "load 的傳回值")
    check(len(given) == 2, f"load 應傳回 (state_dict, metadata)，得到 {len(given)} 項", len(given))
    assert_equal(dict(given[0]), expected, what)
    for value in given[0].values():  # what was loaded is trained: the next load is not to see it
        value.zero_()
    return given[1]


def files_in(folder):
    return [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]


@contextlib.contextmanager
def file_limit(size, action):
    """Files cannot grow beyond `size` bytes in the block; `action` says what the signal for it does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, action)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


class Unstorable:
    """Cannot be pickled."""

    def __reduce__(self):
        raise OSError("no space left on device")


@pytest.mark.numeric
def test_round_trip(submission, registry, rng, tmp_path):
    """存什麼取回什麼：張量與 metadata，另一個 ModelRegistry 也看得到"""
    state = state_of(rng)
    metadata = {"accuracy": 0.1 + rng.integer(1, 9) / 7, "classes": ["貓", "狗"], "epochs": {"done": 3, "left": None}}
    expected = copy_of(state)
    number = registry.save("resnet-50_v1.5", state, metadata=metadata)
    for value in state.values():  # the training goes on
        value.zero_()
    other = submission.ModelRegistry(str(tmp_path / "models" / "registry"))
    for version in ("latest", number):
        found = assert_loaded(other, "resnet-50_v1.5", version, expected, f"版本 {version} 的 state_dict")
        assert_equal(found, metadata, "metadata")
    number = registry.save("plain", expected)
    found = assert_loaded(registry, "plain", number, expected, "沒有 metadata 的版本")
    check(found is None or found == {}, f"沒有給 metadata 時 load 應傳回 {{}} 或 None，得到 {found!r}", str(found))


@pytest.mark.behaviour
def test_numbers(submission, registry, rng, tmp_path):
    """版本號是 1、2、3 …，各名稱分開計"""
    state, found = state_of(rng), []
    for name in ("net", "net", "net-2", "net2", "net", "net-2"):
        found.append((name, registry.save(name, state)))
        registry = submission.ModelRegistry(tmp_path / "models" / "registry")
    wanted = [("net", 1), ("net", 2), ("net-2", 1), ("net2", 1), ("net", 3), ("net-2", 2)]
    assert_equal(found, wanted, "依序 save 得到的（名稱, 版本號）")
    listed = {name: registry.versions(name) for name in ("net", "net-2", "net2")}
    assert_equal(listed, {"net": [1, 2, 3], "net-2": [1, 2], "net2": [1]}, "versions")


@pytest.mark.numeric
def test_latest(registry, rng):
    """latest 是號碼最大的，不是文字順序最後的"""
    states = [{"weight": rng.normal((2, 3))} for _ in range(12)]
    for state in states:
        registry.save("net", state)
    assert_equal(registry.versions("net"), list(range(1, 13)), "12 個版本的 versions")
    assert_loaded(registry, "net", "latest", copy_of(states[-1]), "12 個版本之中 latest 的 state_dict")


@pytest.mark.numeric
def test_old_versions(registry, rng):
    """存了新版本，舊版本不變"""
    states = [copy_of(state_of(rng)) for _ in range(3)]
    for number, state in enumerate(states, start=1):
        registry.save("net", state, metadata={"number": number})
    for number, state in enumerate(states, start=1):
        metadata = assert_loaded(registry, "net", number, state, f"存了三個版本之後，版本 {number} 的 state_dict")
        assert_equal(metadata, {"number": number}, f"版本 {number} 的 metadata")


@pytest.mark.behaviour
def test_four_processes(submission, registry, helper, tmp_path):
    """4 個行程同時 save：號碼都不同，內容都在"""
    method = "fork" if sys.platform == "linux" and not torch.cuda.is_available() else "spawn"
    context, root = multiprocessing.get_context(method), tmp_path / "models" / "registry"
    barrier, processes, pipes, outcomes = context.Barrier(4), [], [], []
    with nothing_left_running(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of forking with threads
        try:
            for worker in range(4):
                ours, theirs = context.Pipe()
                arguments = (submission.__name__, str(root), worker, barrier, theirs)
                processes.append(context.Process(target=helper.save_some, args=arguments, daemon=True))
                pipes.append((ours, theirs))
                processes[-1].start()
            for ours, _ in pipes:
                outcomes.append(ours.recv() if ours.poll(60) else ([], "60 秒還沒存完"))
        finally:
            for process in processes:
                process.kill()
                process.join()
            for ours, theirs in pipes:
                ours.close(), theirs.close()
    errors = sorted({error for _, error in outcomes if error}, key=lambda error: "BrokenBarrier" in error)
    if errors and errors[0].startswith("NotImplementedError: TODO"):
        raise NotImplementedError(errors[0].partition(": ")[2])
    check(not errors, f"4 個行程同時 save，有一個失敗：{errors[:1]}", "race")
    saved = sorted(one for some, _ in outcomes for one in some)
    numbers = [number for number, _, _ in saved]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    check(not twice, f"4 個行程同時 save 同一個名稱，版本號 {twice[:3]} 給了不只一個行程", "race")
    check(registry.versions("net") == numbers, f"save 給了 {numbers}，versions 卻是 {registry.versions('net')}", "race")
    for number, worker, step in saved:
        try:
            state, metadata = registry.load("net", number)
        except Exception as error:
            fail(f"同時存下的版本 {number} 讀不回來：{type(error).__name__}: {error}", "race")
        mine = metadata == {"worker": worker, "step": step} and (state["weight"] == 100 * worker + step).all()
        check(mine, f"版本 {number} 的內容不是拿到這個號碼的行程所存的", "race")


@pytest.mark.behaviour
@pytest.mark.parametrize("cause", ["state", "space"])
def test_failed_save(registry, rng, cause):
    """save 失敗：沒有新版本，舊的都在，之後照常"""
    first, bad = copy_of(state_of(rng)), copy_of(state_of(rng))
    registry.save("net", first)
    limit, why = contextlib.nullcontext(), "狀態裡有存不了的東西"
    if cause == "space" and resource is not None:
        limit, why = file_limit(4096, signal.SIG_IGN), "磁碟空間不足"
    else:
        bad["layer.extra"] = Unstorable()
    raised = False
    with limit:
        try:
            registry.save("net", bad)
        except Exception:
            raised = True
    found = registry.versions("net")
    check(raised, f"{why}，save 卻沒有拋出例外", f"not raised, {found}")
    assert_equal(found, [1], f"{why}，save 失敗之後的 versions")
    assert_loaded(registry, "net", "latest", first, "save 失敗之後，latest 的 state_dict")
    second = copy_of(state_of(rng))
    number = call_within(8, registry.save, "net", second, what="失敗之後的 save ")
    check(number > 1, f"失敗之後再 save，得到版本號 {number}，應大於 1", number)
    assert_loaded(registry, "net", "latest", second, "失敗之後再 save，latest 的 state_dict")


@pytest.mark.cpu
@pytest.mark.behaviour
def test_killed_save(registry, rng):
    """寫到一半行程被殺：沒有新版本，也不擋住之後的 save"""
    first, second = copy_of(state_of(rng)), copy_of(state_of(rng))
    registry.save("net", first)

    def save():
        with file_limit(4096, signal.SIG_DFL):  # the system kills it when its file grows beyond that
            registry.save("net", second)

    if resource is not None and sys.platform == "linux":
        with nothing_left_running(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            process = multiprocessing.get_context("fork").Process(target=save, daemon=True)
            process.start()
            process.join(20)
            check(not process.is_alive(), "20 秒還沒存完", "hang")
    assert_equal(registry.versions("net"), [1], "行程在 save 途中被殺，之後的 versions")
    assert_loaded(registry, "net", "latest", first, "行程在 save 途中被殺，之後 latest 的 state_dict")
    number = call_within(8, registry.save, "net", second, what="別的行程在 save 途中被殺，之後的 save ")
    check(number > 1, f"之後再 save，得到版本號 {number}，應大於 1", number)
    assert_loaded(registry, "net", number, second, "之後再 save 的 state_dict")


def flip(root, state):
    """Changes one byte in the largest file below root: one of the largest tensor, if its bytes stand there."""
    path = max(files_in(root), key=os.path.getsize)
    with open(path, "r+b") as file:
        data = file.read()
        start = data.find(state["layer.weight"].numpy().tobytes()[400:416])
        position = start + 5 if start >= 0 else len(data) // 2
        file.seek(position)
        file.write(bytes([data[position] ^ 0x10]))


@pytest.mark.behaviour
def test_verify(registry, rng, tmp_path):
    """verify：檔案沒變時 True，一個 byte 被改過就是 False"""
    state = copy_of(state_of(rng))
    registry.save("net", state)
    assert_equal(registry.verify("net", 1), True, "剛存好的版本，verify ")
    flip(tmp_path / "models", state)
    assert_equal(registry.verify("net", 1), False, "檔案被改了一個 byte，verify ")


@pytest.mark.behaviour
@pytest.mark.parametrize("version", ["latest", 1])
def test_flipped_byte(registry, rng, tmp_path, version):
    """檔案被改過：load 在 unpickle 之前就拋出 ValueError"""
    state = copy_of(state_of(rng))
    registry.save("net", state)
    assert_loaded(registry, "net", version, state, "還沒被改過的 state_dict")
    flip(tmp_path / "models", state)
    with count_calls("torch.load", "pickle.load", "pickle.loads") as calls, raises(ValueError):
        registry.load("net", version)
    unpickled = sum(calls.values())
    check(not unpickled, "檔案被改過，load 卻先呼叫了 torch.load 才發現：SHA-256 要在那之前比對", "unpickled first")


@pytest.mark.behaviour
@pytest.mark.parametrize("method, name, version", [
    ("load", "nobody", "latest"),
    ("load", "nobody", 1),
    ("load", "net", 3),
    ("load", "net", 0),
    ("verify", "net", 3),
    ("verify", "nobody", 1),
])  # fmt: skip
def test_unknown(registry, method, name, version):
    """不存在的 name 或 version：KeyError"""
    for _ in range(2):
        registry.save("net", {"weight": torch.ones(2)})
    with raises(KeyError):
        getattr(registry, method)(name, version)


@pytest.mark.behaviour
@pytest.mark.parametrize("name", ["../other/net", "..", "net/../../other/net", "../registry-2/net", "/absolute"])
def test_names_outside(submission, registry, tmp_path, name):
    """跑到 root 外的 name：ValueError，外面沒有多出檔案"""
    folder = tmp_path / "models"
    name = str(folder / "other" / "net") if name == "/absolute" else name
    for neighbour in ("other", "registry-2"):
        submission.ModelRegistry(folder / neighbour).save("net", {"weight": torch.ones(2)})
    registry.save("net", {"weight": torch.ones(2)})
    before = sorted(path for path in files_in(folder) if os.sep + "registry" + os.sep not in path)
    for method, arguments in (
        ("save", ({"weight": torch.zeros(2)},)),
        ("load", ()),
        ("load", (1,)),
        ("verify", (1,)),
        ("versions", ()),
    ):
        with raises(ValueError):
            getattr(registry, method)(name, *arguments)
    after = sorted(path for path in files_in(folder) if os.sep + "registry" + os.sep not in path)
    assert_equal(len(after), len(before), "root 外面的檔案數")
