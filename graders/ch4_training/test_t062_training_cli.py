"""062 · 命令列的訓練腳本：評分

One training is a real program. A new process costs seconds, so the rest runs the file, or calls main, in this one; what
a program may set for itself (threads, deterministic algorithms, environment) is put back after it.
"""

import contextlib
import importlib.util
import io
import json
import logging
import os
import re
import runpy
import shutil
import sys
import zipfile
from types import SimpleNamespace

import pytest

from torch_kata.checks import check, count_calls, fail, run_program, shared_rng, torch

OPTIONS = ("--epochs", "--lr", "--batch-size", "--hidden-size", "--seed", "--device", "--output-dir", "--test")


@contextlib.contextmanager
def as_program(folder):
    """Inside, code may change what belongs to its whole process; the working directory is `folder`."""
    threads, environment = torch.get_num_threads(), dict(os.environ)
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.root, "handlers", [])
        patch.chdir(folder)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(environment)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
            torch.backends.cudnn.benchmark = benchmark


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """程式執行時的工作資料夾。"""
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def run(submission, folder):
    """run(參數...)：呼叫 main，傳回狀態、stdout 與 stderr。"""

    def call(*argv, main=submission.main):
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
            as_program(folder),
        ):
            try:
                status = main([str(argument) for argument in argv])
            except SystemExit as stop:
                status = status_of(stop)
        return SimpleNamespace(status=status, out=out.getvalue(), err=err.getvalue())

    return call


def status_of(stop):
    """The exit status of a program that ends so."""
    return 0 if stop.code is None else stop.code if isinstance(stop.code, int) else 1


def metrics_of(path):
    """metrics.json 的內容，先看過 test_accuracy。"""
    file = path / "metrics.json"
    check(file.is_file(), "沒有寫出 metrics.json", "no metrics.json")
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        fail(f"metrics.json 不是合法的 JSON：{error}", "not JSON")
    accuracy = metrics.get("test_accuracy") if isinstance(metrics, dict) else None
    fine = isinstance(accuracy, float | int) and 0 <= accuracy <= 1
    check(fine, f"metrics.json 的 test_accuracy 應為 0 到 1 的小數，得到 {accuracy!r}", str(accuracy))
    return metrics


def weights_of(path):
    """model.pt 裡各個張量的 bytes；不必知道裡面是什麼物件。"""
    file = path / "model.pt"
    check(file.is_file(), "沒有寫出 model.pt", "no model.pt")
    try:
        with zipfile.ZipFile(file) as archive:
            return [archive.read(name) for name in sorted(archive.namelist()) if "/data/" in name]
    except zipfile.BadZipFile:
        return [file.read_bytes()]


def last_number(text):
    """最後一行的數字；百分比換成小數。"""
    lines = text.strip().splitlines() or [""]
    found = re.findall(r"(\d+(?:\.\d+)?(?:e-?\d+)?)\s*(%?)", lines[-1])
    if not found:
        fail(f"--test 的最後一行應為 test_accuracy，得到「{lines[-1][:100]}」", "no number")
    return float(found[-1][0]) / (100 if found[-1][1] else 1)


# ── 以程式執行 ──


@pytest.fixture(scope="module")
def program(submission, folder):
    """一個真正的程式：一次短的訓練。"""
    command = [sys.executable, submission.__file__, "--epochs", "2", "--seed", "3", "--output-dir", "runs/第一次"]
    finished = run_program(command, cwd=folder, env={"OMP_NUM_THREADS": "1"}, seconds=100)
    if "NotImplementedError: TODO" in finished.stderr:
        raise NotImplementedError("TODO 062")
    return SimpleNamespace(**vars(finished), output=folder / "runs" / "第一次")


@pytest.fixture
def as_main(submission, folder):
    """as_main(參數...)：在這個行程裡像 python FILE 一樣執行整個檔案，不必再花幾秒 import torch。"""

    def call(*argv):
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
            as_program(folder),
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setattr(sys, "argv", [submission.__file__, *map(str, argv)])
            status = 0
            try:
                runpy.run_path(submission.__file__, run_name="__main__")
            except SystemExit as stop:
                status = status_of(stop)
        return SimpleNamespace(status=status, out=out.getvalue(), err=err.getvalue())

    return call


@pytest.mark.behaviour
def test_program(program):
    """python FILE 訓練：建立資料夾，寫出 model.pt 與 metrics.json"""
    last = (program.stderr.strip().splitlines() or ["（沒有訊息）"])[-1]
    status = program.returncode
    check(status == 0, f"程式以狀態 {status} 結束：{last[:300]}", f"status {status}: {last.partition(':')[0]}")
    metrics_of(program.output)
    weights_of(program.output)


@pytest.mark.behaviour
def test_help(as_main):
    """python FILE --help 列出各個選項"""
    result = as_main("--help")
    check(result.status == 0, f"--help 應以狀態 0 結束，得到 {result.status}", f"status {result.status}")
    missing = [option for option in OPTIONS if option not in result.out]
    check(not missing, f"--help 沒有列出 {'、'.join(missing)}", missing)


@pytest.mark.behaviour
@pytest.mark.parametrize("arguments", [("--epochs", "0"), ("--test", "missing.pt")], ids=["epochs", "checkpoint"])
def test_exit_status(as_main, tmp_path, arguments):
    """python FILE 遇到不合法的參數：程式的狀態是 2"""
    status = as_main(*arguments, "--output-dir", tmp_path / "output").status
    check(status == 2, f"python FILE {' '.join(arguments)} 應以狀態 2 結束，得到 {status}", f"status {status}")


@contextlib.contextmanager
def imported(submission, name="another_name"):
    """這個檔案，用別的名字重新 import 一次。"""
    spec = importlib.util.spec_from_file_location(name, submission.__file__)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, name, module)
        patch.setattr(sys, "argv", [submission.__file__])
        spec.loader.exec_module(module)
        yield module


@pytest.mark.behaviour
def test_import(submission, run, tmp_path):
    """import 這個檔案不訓練、不印東西、不寫檔"""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        as_program(tmp_path),
        count_calls("Tensor.backward") as steps,
        imported(submission) as module,
    ):
        pass
    check(not steps.total(), "import 這個檔案就開始訓練了", "trains")
    files = [path.name for path in tmp_path.iterdir()]
    check(not files and not out.getvalue(), f"import 這個檔案就印出了東西，或寫了檔案 {files}", "prints or writes")
    check(run("--help", main=module.main).status == 0, "main(['--help']) 沒有以狀態 0 結束", "help")


# ── 訓練與測試 ──


@pytest.fixture(scope="module")
def trained(run, folder):
    """預設值的一次訓練。"""
    return SimpleNamespace(**vars(run("--output-dir", folder / "default")), path=folder / "default")


@pytest.mark.numeric
def test_accuracy(trained):
    """預設值：main 傳回 0，test_accuracy 至少 0.9"""
    check(trained.status == 0, f"訓練成功時 main 應傳回 0，得到 {trained.status!r}", str(trained.status))
    accuracy = metrics_of(trained.path)["test_accuracy"]
    check(accuracy >= 0.9, f"test_accuracy 是 {accuracy:.3f}，至少要 0.9", accuracy)


@pytest.mark.numeric
def test_test_mode(run, rng, folder):
    """--test 的最後一行是記下的 test_accuracy，只靠搬了家的 model.pt"""
    first, moved = folder / "narrow", folder / "moved.pt"
    run("--epochs", 3, "--hidden-size", rng.integer(9, 30), "--seed", rng.integer(1, 1000), "--output-dir", first)
    recorded = metrics_of(first)["test_accuracy"]
    check(weights_of(first), "model.pt 裡沒有張量", "no tensors")
    shutil.move(first / "model.pt", moved)
    shutil.rmtree(first)
    tested = run("--test", moved)
    check(tested.status == 0, f"--test 應以狀態 0 結束，得到 {tested.status}：{tested.err[-200:]}", str(tested.status))
    assert_last_line(tested, recorded, "--test ")


def assert_last_line(tested, recorded, what):
    found = last_number(tested.out)
    check(abs(found - recorded) < 6e-5, f"{what}的最後一行應為記下的 {recorded:.4f}，得到 {found:.4f}", found)


@pytest.fixture(scope="module")
def scrambled(submission, run, folder, request):
    """標籤打亂之後的訓練，學不到東西，只能背下訓練資料；再用另一個 seed 測試。"""
    import sklearn.datasets

    rng, load = shared_rng(request), sklearn.datasets.load_digits
    order = rng.numpy.permutation(len(load().target))

    def load_scrambled(**options):
        found = load(**options)
        if isinstance(found, tuple):
            return found[0], found[1][order]
        found.target = found.target[order]
        return found

    output, seed = folder / "scrambled", rng.integer(1, 1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn.datasets, "load_digits", load_scrambled)
        with contextlib.redirect_stdout(io.StringIO()), imported(submission, "scrambled") as module:
            arguments = ("--epochs", 40, "--hidden-size", 128, "--seed", seed, "--output-dir", output)
            run(*arguments, main=module.main)
            tested = run("--test", output / "model.pt", "--seed", seed + 1, main=module.main)
    return SimpleNamespace(accuracy=metrics_of(output)["test_accuracy"], tested=tested)


@pytest.mark.numeric
def test_held_out(scrambled):
    """test_accuracy 來自沒訓練過的資料"""
    # 猜的準確率是 0.1：測試資料有 180 筆時，到 0.25 的機會小於 1e-8，360 筆時小於 1e-14。背下來的訓練資料是 0.4 以上。
    accuracy = scrambled.accuracy
    check(accuracy < 0.25, f"標籤打亂之後，test_accuracy 還有 {accuracy:.3f}：測試用了訓練過的資料", accuracy)


@pytest.mark.numeric
def test_fixed_split(scrambled):
    """切分與 --seed 無關：換一個 seed 測試，結果不變"""
    assert_last_line(scrambled.tested, scrambled.accuracy, "換一個 --seed 之後，--test ")


# ── 重現與選項 ──

BASE = {"--epochs": 1, "--lr": 0.01, "--batch-size": 64, "--hidden-size": 16, "--seed": 3}


def short(run, folder, name, **changes):
    """一次很短的訓練：它的 metrics.json、權重，與 backward 的次數。"""
    options = {**BASE, **{f"--{key.replace('_', '-')}": value for key, value in changes.items()}}
    output = folder / name
    with count_calls("Tensor.backward") as steps:
        result = run(*[part for pair in options.items() for part in pair], "--output-dir", output)
    check(result.status == 0, f"訓練以狀態 {result.status} 結束：{result.err[-200:]}", str(result.status))
    metrics_of(output)
    return (output / "metrics.json").read_bytes(), weights_of(output), steps.total()


@pytest.fixture(scope="module")
def base(run, folder):
    return short(run, folder, "base")


@pytest.mark.behaviour
def test_same_seed(run, folder, base):
    """同一個 seed：metrics.json 逐 byte 相同，權重也相同"""
    again = short(run, folder, "again")
    first, second = (json.loads(content) for content, *_ in (base, again))
    differing = sorted(key for key in {*first, *second} if first.get(key) != second.get(key))
    check(not differing, f"同一個 seed 再訓練一次，metrics.json 的 {'、'.join(differing)} 不同", differing)
    check(base[0] == again[0], "同一個 seed 再訓練一次，metrics.json 的內容不是逐 byte 相同", "bytes")
    check(base[1] == again[1], "同一個 seed 再訓練一次，權重不同", "weights")


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "option, value", [("epochs", 6), ("lr", 0.001), ("batch-size", 24), ("hidden-size", 40), ("seed", 4)]
)
def test_options(run, folder, base, option, value):
    """每個選項都有作用"""
    _, weights, steps = short(run, folder, option, **{option: value})
    usual = BASE[f"--{option}"]
    check(weights != base[1], f"--{option} 由 {usual} 改成 {value}，訓練出的權重卻完全相同：它沒有用上", "same")
    if option == "epochs":
        told = f"--epochs 1 訓練了 {base[2]} 步，--epochs 6 是 {steps} 步：應為 6 倍"
        check(steps == 6 * base[2], told, [steps, base[2]])


# ── 不合法的參數 ──


@pytest.mark.behaviour
@pytest.mark.parametrize(
    "arguments",
    ["--epochs=0", "--epochs=-3", "--lr=0", "--lr=-0.1", "--device=abacus", "--device=ABSENT", "--test=missing.pt"],
)
def test_bad_input(run, folder, tmp_path, arguments):
    """不合法的參數：狀態 2，stderr 有訊息，什麼都不寫"""
    arguments = arguments.replace("ABSENT", "cuda:63" if torch.cuda.is_available() else "cuda")
    output, before = tmp_path / "output", sorted(folder.iterdir())
    try:
        result = run("--output-dir", output, arguments)
    except NotImplementedError:
        raise
    except Exception as error:
        fail(f"{arguments} 吐出了 traceback：{type(error).__name__}: {str(error)[:200]}", type(error).__name__)
    check(result.status == 2, f"{arguments} 應以狀態 2 結束，得到 {result.status}", f"status {result.status}")
    check(result.err.strip(), f"{arguments} 沒有在 stderr 說明原因", "silent")
    check("Traceback" not in result.err, f"{arguments} 吐出了 traceback", "traceback")
    check(not output.exists() and sorted(folder.iterdir()) == before, f"{arguments} 不合法，卻還是寫了檔案", "written")
