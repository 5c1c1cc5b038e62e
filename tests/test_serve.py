"""The real TorchServe of task 78: what is said without one, how answers are judged, and one run from start to end."""

import contextlib
import json
import os
import stat
import sys
import uuid

import psutil
import pytest

from torch_kata import serve
from torch_kata.errors import UsageError
from torch_kata.serve import BATCH, Answer, Unfit, examine, expected, find_java, free_ports, require_torchserve


def missing():
    """Why no real server can run here; empty if one can."""
    for need in (require_torchserve, find_java):
        try:
            need()
        except UsageError as error:
            return str(error)
    return ""


def lines(finished):
    return (finished.stdout + finished.stderr).splitlines()


# ── what cannot be tried ──


@pytest.mark.parametrize("arguments", [("--target", "nowhere"), ("--speed",), ("solutions",)])
def test_wrong_usage(run, arguments):
    finished = run("-m", "torch_kata.serve", *arguments)
    assert finished.returncode == 2
    assert finished.stdout == "" and "Traceback" not in finished.stderr


def test_target_without_the_answer(run, tmp_path):
    finished = run("-m", "torch_kata.serve", "--target", str(tmp_path))
    assert finished.returncode == 2
    assert "t078_torchserve_handler.py" in finished.stderr and len(lines(finished)) == 1


def test_unsolved_stub(run):
    """One line, whether there is a server or not."""
    finished = run("-m", "torch_kata.serve", env={"PATH": "", "JAVA_HOME": ""})
    assert finished.returncode == 1
    assert "還沒寫完" in finished.stdout and "kata show 78" in finished.stdout and len(lines(finished)) == 1


@pytest.mark.parametrize("advising", [False, True])
def test_no_java(run, tmp_path, advising):
    """One line that says so and how to get it; a `java` that only advises to install one is none."""
    if advising:
        if sys.platform == "win32":
            pytest.skip("a script without an ending is no program on Windows")
        (tmp_path / "java").write_text("#!/bin/sh\necho no Java runtime present >&2\nexit 1\n", encoding="utf-8")
        (tmp_path / "java").chmod(stat.S_IRWXU)
    environment = {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path / "jdk")}
    finished = run("-m", "torch_kata.serve", "--target", "solutions", env=environment)
    assert finished.returncode == 2
    assert "Java" in finished.stderr and "openjdk" in finished.stderr and len(lines(finished)) == 1


@pytest.mark.parametrize("module", ["ts", "yaml"])
def test_no_torchserve(monkeypatch, module):
    monkeypatch.setattr(serve.importlib.util, "find_spec", lambda name: None if name == module else object())
    with pytest.raises(UsageError, match="nox -s serve"):
        require_torchserve()


def test_free_ports():
    assert len(set(free_ports(5))) == 5


# ── how answers are judged ──


def behaving(body, kind):
    """What a right handler answers, in batches of four."""
    if kind.startswith("multipart"):
        body = body.split(b"\r\n")[3]
    try:
        sample = json.loads(body)
    except ValueError as error:
        return Answer(400, json.dumps({"error": str(error)}))
    return Answer(200, json.dumps([*expected(sample["input"] if isinstance(sample, dict) else sample), float(BATCH)]))


def alone(body, kind):
    right = behaving(body, kind)
    return Answer(200, json.dumps([*right.json()[:-1], 1.0])) if right.status == 200 else right


def replacing(status, body):
    """Right answers, but for requests that cannot be read."""

    def post(request, kind):
        right = behaving(request, kind)
        return right if right.status == 200 else Answer(status, body)

    return post


def test_right_answers(capsys):
    assert examine(behaving)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == len(serve.CHECKS) and all(line.startswith("✓ 通過") for line in said)


@pytest.mark.parametrize(
    ("post", "check"),
    [
        (lambda body, kind: Answer(503, '{"code": 503, "message": "Prediction failed"}'), "單筆"),
        (lambda body, kind: Answer(200, "[1.0, 2.0, 4.0]"), "單筆"),
        (lambda body, kind: Answer(200, "\x80\x02 torch.save"), "單筆"),
        (lambda body, kind: Answer(400, "{}") if kind == "text/plain" else behaving(body, kind), "送法"),
        (alone, "batch"),
        (replacing(200, '{"error": "?"}'), "讀不懂"),
        (replacing(400, "Bad Request"), "讀不懂"),
        (replacing(400, "null"), "讀不懂"),
    ],
)
def test_wrong_answers(capsys, post, check):
    assert not examine(post)
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("✗ 失敗")]
    assert check in failed[0]


def test_no_answer(capsys):
    """A worker that answers no more is waited for once, not five times."""

    def post(body, kind):
        raise TimeoutError("timed out")

    assert not examine(post)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def build_archive(*arguments):\n    raise OSError('disk full')\n", "OSError: disk full"),
        ("def build_archive(*arguments):\n    pass\n", "kata_net.mar"),
        ("def build_archive(:\n", "語法"),
        ("x = 1\n", "AttributeError"),
    ],
)
def test_answer_without_archive(monkeypatch, tmp_path, text, reason):
    monkeypatch.setattr(serve, "write_probe", lambda path: path.touch())
    answer = tmp_path / "t078_torchserve_handler.py"
    answer.write_text(text, encoding="utf-8")
    with pytest.raises(Unfit, match=reason):
        serve.build(answer, tmp_path)


# ── a real one ──


@pytest.mark.skipif(missing() != "", reason=missing() or "there is a server")
def test_real_server(run):
    """The reference solution answers on a real TorchServe, of which nothing is left afterwards."""
    mark = uuid.uuid4().hex
    finished = run("-m", "torch_kata.serve", "--target", "solutions", env={"KATA_TEST_RUN": mark})
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("✓ 通過") == len(serve.CHECKS) + 2 and "✗" not in finished.stdout
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("KATA_TEST_RUN") == mark and process.pid != os.getpid():
                left.append(process.cmdline())
    assert left == []
