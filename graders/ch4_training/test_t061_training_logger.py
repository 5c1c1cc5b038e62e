"""061 · 訓練日誌：評分"""

import contextlib
import io
import json
import logging
import math
import time
from datetime import datetime, timedelta

import pytest

from torch_kata.checks import (
    assert_equal,
    assert_type,
    check,
    fail,
    nothing_left_open,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train.jsonl"


@pytest.fixture
def opened(submission):
    """opened(path, ...)：一個 TrainingLogger，檢查結束時關閉。"""
    loggers = []

    def make(*args, **kwargs):
        loggers.append(submission.TrainingLogger(*args, **kwargs))
        return loggers[-1]

    yield make
    for logger in loggers:
        with contextlib.suppress(Exception):
            logger.close()


def written(path):
    """磁碟上的記錄；每一行都要是合法的 JSON。"""
    records = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__
        fail(f"讀不到 {path.name}，或它不是 UTF-8：{kind}", f"unreadable {kind}")
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        try:
            records.append(json.loads(line, parse_constant=not_json))
        except ValueError as error:
            fail(f"第 {number} 行不是合法的 JSON（{error}）：{line[:120]}", line[-60:])
        assert_type(records[-1], dict, f"第 {number} 行")
    return records


def not_json(name):
    raise ValueError(f"{name} 不是 JSON 的值")


def timeless(records):
    """沒有 time 的記錄：每次執行都不同的只有它。"""
    return [{key: value for key, value in record.items() if key != "time"} for record in records]


@pytest.mark.shape
def test_metrics_line(opened, path, rng):
    """log 的一行：恰有 time、level、epoch 與各個指標"""
    epoch, loss, accuracy = rng.integer(2, 90), rng.integer(1, 99) / 7, rng.integer(1, 99) / 101
    opened(path).log(epoch, train_loss=loss, accuracy=accuracy)
    records = written(path)
    wanted = [{"level": "INFO", "epoch": epoch, "train_loss": loss, "accuracy": accuracy}]
    assert_equal(timeless(records), wanted, "log 寫出的記錄（time 除外）")
    check("time" in records[0], "log 寫出的記錄沒有 time", "no time")


@pytest.mark.shape
def test_messages(opened, path, rng):
    """info 與 warning 的一行：恰有 time、level、message"""
    note = f"學習率降到 {rng.integer(2, 99)}%\n第二行"
    logger = opened(path)
    logger.info(note)
    logger.warning("梯度太大")
    records = written(path)
    wanted = [{"level": "INFO", "message": note}, {"level": "WARNING", "message": "梯度太大"}]
    assert_equal(timeless(records), wanted, "寫出的記錄（time 除外）")
    check(all("time" in record for record in records), "訊息的記錄沒有 time", "no time")


@pytest.mark.numeric
def test_numbers(opened, path, rng):
    """數字與單元素張量：值一位不差，整數仍是整數"""
    lr, step, shift = rng.integer(1, 10**6) / 3e9, rng.integer(100, 10**6), rng.integer(1, 9)
    loss = (rng.normal(()) + shift).requires_grad_()
    norm = rng.normal((1,), dtype="float64") + shift
    count = rng.integers(10, 99, (1, 1))
    expected = {"lr": lr, "step": step, "loss": loss.item(), "norm": norm.item(), "count": count.item()}
    opened(path).log(0, lr=lr, step=step, loss=loss * 1, norm=norm, count=count)
    [record] = timeless(written(path))
    assert_equal(record, {"level": "INFO", "epoch": 0, **expected}, "記錄")


@pytest.mark.numeric
def test_not_finite(opened, path, tensor):
    """NaN 與 ±inf 寫成 null，仍是合法的 JSON"""
    logger = opened(path)
    logger.log(1, loss=math.nan, score=0.5)
    logger.log(2, loss=math.inf, score=-math.inf)
    logger.log(3, loss=tensor(math.nan), score=tensor([-math.inf]))
    assert_equal([record.get("loss", "沒有") for record in written(path)], [None] * 3, "各行的 loss")
    assert_equal([record.get("score", "沒有") for record in written(path)], [0.5, None, None], "各行的 score")


@pytest.mark.behaviour
def test_time(opened, path):
    """time 是 ISO 8601 的當下時間"""
    logger = opened(path)
    time.sleep(0.05)  # the time of the record, not that of the logger
    before = datetime.now().astimezone()
    logger.log(1, loss=0.5)
    logger.info("完成")
    after = datetime.now().astimezone()
    for record in written(path):
        found = record.get("time")
        try:
            moment = datetime.fromisoformat(found).astimezone()
        except (TypeError, ValueError):
            kind = type(found).__name__
            fail(f"time 應為 ISO 8601，得到 {found!r}", f"time {kind}")
        early = timedelta(seconds=0.02 if moment.microsecond else 1.1)  # whole seconds are cut off
        check("T" in found or ":" in found, f"time 是 {found}，只有日期，沒有時刻", "no time of day")
        near = before - early <= moment <= after + timedelta(seconds=0.1)
        check(near, f"time 是 {found}，當下是 {after.isoformat()}", "another time")


@pytest.mark.behaviour
def test_on_disk_at_once(opened, path):
    """呼叫一返回，這一行就在磁碟上"""
    logger, counts = opened(path), []
    for epoch in range(3):
        logger.log(epoch, loss=0.5)
        counts.append(len(written(path)))
    logger.info("完成")
    counts.append(len(written(path)))
    assert_equal(counts, [1, 2, 3, 4], "還沒有 close，每次呼叫之後檔案裡的行數")


@pytest.mark.behaviour
def test_reopen(submission, path, rng):
    """同一個檔案重開：接著寫，每行一次"""
    losses = [rng.integer(1, 99) / 7 for _ in range(3)]
    for epoch, loss in enumerate(losses):
        logger = submission.TrainingLogger(path)
        logger.log(epoch, loss=loss)
        logger.close()
    assert_equal([record.get("loss") for record in written(path)], losses, "開了三次，檔案裡的 loss")


@pytest.mark.behaviour
@pytest.mark.parametrize("lost", [1, 9], ids=["newline-lost", "cut"])
def test_reopen_after_cut(submission, opened, path, lost):
    """最後一行沒寫完：新的記錄從新的一行開始"""
    logger = submission.TrainingLogger(path)
    logger.log(1, loss=0.75)
    logger.log(2, loss=0.5)
    logger.close()
    content = path.read_bytes()
    path.write_bytes(content[:-lost])
    opened(path).log(3, loss=0.25)
    last = path.read_text(encoding="utf-8").split("\n")[-2]
    try:
        json.loads(last)
    except ValueError:
        fail(f"最後一行接在沒寫完的那一行後面了：{last[-80:]}", "glued")
    epochs = [record.get("epoch") for record in submission.read_log(path)]
    check(epochs[:1] == [1] and epochs[-1:] == [3], f"read_log 應讀到 epoch 1 與 3，得到 {epochs}", epochs)


@pytest.mark.behaviour
def test_two_loggers(opened, tmp_path):
    """兩個 logger 寫不同資料夾裡的同名檔案，互不混雜"""
    paths = [tmp_path / name / "train.jsonl" for name in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
    first, second = (opened(path) for path in paths)
    first.info("甲")
    second.log(1, loss=0.5)
    first.warning("乙")
    found = [[record.get("message", record.get("loss")) for record in written(path)] for path in paths]
    assert_equal(found, [["甲", "乙"], [0.5]], "兩個檔案的內容")


class Listener(logging.Handler):
    """Keeps what it is told."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def emit(self, record):
        self.heard.append(record)


@pytest.mark.behaviour
def test_root_logger(opened, path, monkeypatch):
    """root logger 不受影響"""
    root, listener = logging.getLogger(), Listener()
    monkeypatch.setattr(root, "handlers", [])
    before = root.level
    try:
        logger = opened(path)
        logger.log(1, loss=0.5)
        added, level = len(root.handlers), root.level
        root.handlers = [listener]
        logger.warning("梯度太大")
    finally:
        root.setLevel(before)
    check(not added and level == before, "改動了 root logger（logging.basicConfig？）", "root changed")
    heard = len(listener.heard)
    check(not heard, "訊息傳到了 root logger 的 handler：把 propagate 設成 False", "propagates")


class Diverged(Exception):
    """What the training in a check raises."""


@pytest.mark.behaviour
def test_exception(submission, path, rng):
    """with 裡的例外：記一行 ERROR，再往外傳"""
    error, passed_on = Diverged(f"第 {rng.integer(100, 999)} 步的損失不是數字"), None
    try:
        with submission.TrainingLogger(path) as logger:
            logger.log(1, loss=0.5)
            raise error
    except Diverged as caught:
        passed_on = caught
    check(passed_on is error, "with 區塊裡的例外沒有往外傳", "swallowed")
    records = timeless(written(path))
    levels = [record.get("level") for record in records]
    assert_equal(levels, ["INFO", "ERROR"], "各行的 level")
    message = str(records[1].get("message"))
    for part in ("Diverged", str(error)):
        check(part in message, f"ERROR 的 message 應含「{part}」，得到「{message[:120]}」", message)


@pytest.mark.behaviour
def test_close(submission, path, tmp_path):
    """with 得到 logger 本身；離開或 close 之後檔案是關的，沒有多出記錄"""
    with nothing_left_open(), submission.TrainingLogger(path) as logger:
        assert_type(logger, submission.TrainingLogger, "with 得到的")
        logger.info("開始")
    logger.close()  # not before: it would close what the end of the block has left open
    with nothing_left_open():
        other = submission.TrainingLogger(str(tmp_path / "other.jsonl"))
        other.close()
        other.close()
    assert_equal(timeless(written(path)), [{"level": "INFO", "message": "開始"}], "檔案的內容")


@pytest.mark.behaviour
def test_close_after_exception(submission, path):
    """with 裡有例外，離開之後檔案也是關的"""
    with nothing_left_open(), contextlib.suppress(Diverged), submission.TrainingLogger(path) as logger:
        logger.info("開始")
        raise Diverged("壞了")


@pytest.mark.behaviour
def test_read_log(submission, path, rng):
    """read_log 依序讀回每一筆"""
    losses = [rng.integer(1, 99) / 7 for _ in range(3)]
    with submission.TrainingLogger(path) as logger:
        for epoch, loss in enumerate(losses):
            logger.log(epoch, loss=loss, gap=math.nan)
        logger.warning("停滯了\n")
    expected = written(path)
    for kind in (str, type(path)):
        records = submission.read_log(kind(path))
        assert_type(records, list, "read_log 的傳回值")
        check(records == expected, f"讀回的與檔案裡的不同：{str(timeless(records))[:300]}", timeless(records))


@pytest.mark.behaviour
def test_read_log_cut(submission, path):
    """read_log 不怕最後一行被截斷在任何一個 byte"""
    with submission.TrainingLogger(path) as logger:
        logger.log(1, loss=0.75)
        logger.info("開始")
        logger.warning("梯度太大，學習率減半")
    content = path.read_bytes()
    expected = written(path)[:2]
    last = content[:-1].rfind(b"\n") + 1
    for end in range(last, len(content) - 1):
        path.write_bytes(content[:end])
        try:
            records = submission.read_log(path)
        except NotImplementedError:
            raise
        except Exception as error:
            fail(f"最後一行被截斷時，read_log 拋出 {type(error).__name__}", f"raised {type(error).__name__}")
        found = timeless(records)
        check(records == expected, f"最後一行被截斷時，read_log 應讀到前兩行，得到 {str(found)[:200]}", found)


@pytest.mark.behaviour
@pytest.mark.parametrize("console", [True, False])
def test_console(opened, path, console):
    """console=True 也印出來，False（預設）什麼都不印"""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        logger = opened(path, **({"console": True} if console else {}))
        logger.log(173, val_accuracy=0.5)
        logger.warning("clipped")  # ASCII: a line of JSON with \u escapes is a format too
        logger.close()
    text = out.getvalue() + err.getvalue()
    if not console:
        check(not text, f"console=False 卻印出了：{text[:120]}", "printed")
        return
    for part in ("173", "val_accuracy", "clipped"):
        check(part in text, f"console=True 時應看得到「{part}」，印出的是「{text[:200]}」", "not printed")
