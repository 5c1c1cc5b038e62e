"""057 · warmup 與 cosine 的學習率調度：評分"""

import io
import math

import pytest

from torch_kata.checks import assert_close, assert_type, raises, torch

SETTINGS = pytest.mark.parametrize(
    "warmup, total, min_ratio", [(5, 17, 0.1), (1, 4, 0.3), (6, 7, 0.0)], ids=["5-17", "1-4", "6-7"]
)


def ratios(warmup, total, min_ratio, steps):
    """公式：各步的學習率是起始的幾倍。"""
    result = []
    for step in steps:
        if step < warmup:
            result.append(step / warmup)
        else:
            angle = math.pi * min(step - warmup, total - warmup) / (total - warmup)
            result.append(min_ratio + (1 - min_ratio) * (0.5 + 0.5 * math.cos(angle)))
    return result


@pytest.fixture
def training(submission, rng):
    """training(warmup, total)：一個 AdamW 與它的調度器，兩個群組；run(count) 走 count 步。"""

    class Training:
        bases = [float(rng.uniform((), 0.3, 0.9)), float(rng.uniform((), 0.01, 0.09))]

        def __init__(self, *args, **kwargs):
            groups = [{"params": [rng.normal((3, 2), requires_grad=True)], "lr": lr} for lr in self.bases]
            self.optimizer = torch.optim.AdamW(groups)
            self.scheduler = submission.warmup_cosine(self.optimizer, *args, **kwargs)

        def rates(self):
            return [group["lr"] for group in self.optimizer.param_groups]

        def run(self, count):
            """走 count 步，傳回之前與每一步之後的學習率。"""
            seen = [self.rates()]
            for _ in range(count):
                for group in self.optimizer.param_groups:
                    group["params"][0].grad = torch.ones_like(group["params"][0])
                self.optimizer.step()
                self.scheduler.step()
                seen.append(self.rates())
            return seen

        def expected(self, warmup, total, min_ratio, steps):
            return [[base * ratio for base in self.bases] for ratio in ratios(warmup, total, min_ratio, steps)]

    return Training


@pytest.mark.shape
def test_type(training):
    """傳回 LRScheduler"""
    assert_type(training(2, 5).scheduler, torch.optim.lr_scheduler.LRScheduler)


@pytest.mark.numeric
@SETTINGS
def test_warmup(training, warmup, total, min_ratio):
    """warmup：第 s 步是 s / warmup_steps"""
    run = training(warmup, total, min_ratio=min_ratio)
    expected = run.expected(warmup, total, min_ratio, range(warmup + 1))
    assert_close(run.run(warmup), expected, what=f"第 0 到 {warmup} 步的學習率")


@pytest.mark.numeric
@SETTINGS
def test_cosine(training, warmup, total, min_ratio):
    """之後半個 cosine，在 total_steps 降到 min_ratio 倍"""
    run = training(warmup, total, min_ratio=min_ratio)
    found = run.run(total)[warmup:]
    expected = run.expected(warmup, total, min_ratio, range(warmup, total + 1))
    assert_close(found, expected, what=f"第 {warmup} 到 {total} 步的學習率")


@pytest.mark.numeric
@SETTINGS
def test_after_the_end(training, warmup, total, min_ratio):
    """total_steps 之後不變"""
    run = training(warmup, total, min_ratio=min_ratio)
    found = run.run(2 * total + 3)[total:]
    expected = run.expected(warmup, total, min_ratio, range(total, 2 * total + 4))
    assert_close(found, expected, what=f"第 {total} 到 {2 * total + 3} 步的學習率")


@pytest.mark.numeric
def test_default_min_ratio(training):
    """min_ratio 預設為 0"""
    run = training(2, 6)
    assert_close(run.run(7), run.expected(2, 6, 0.0, range(8)), what="第 0 到 7 步的學習率")


@pytest.mark.behaviour
def test_no_warmup(training):
    """warmup_steps = 0 也能用"""
    run = training(0, 9, min_ratio=0.25)
    assert_close(run.run(11), run.expected(0, 9, 0.25, range(12)), what="第 0 到 11 步的學習率")


@pytest.mark.behaviour
def test_groups(training):
    """每個群組保有自己的起始學習率"""
    run = training(3, 8, min_ratio=0.2)
    found = run.run(5)
    for index, base in enumerate(run.bases):
        expected = [base * ratio for ratio in ratios(3, 8, 0.2, range(6))]
        assert_close([rates[index] for rates in found], expected, what=f"起始學習率 {base:.3g} 的群組，第 0 到 5 步")


@pytest.mark.behaviour
@pytest.mark.parametrize("stop", [3, 9, 19], ids=["in-warmup", "in-cosine", "after-the-end"])
def test_resume(training, stop):
    """存下 state_dict，在新的物件上接續"""
    first = training(5, 16, min_ratio=0.1)
    first.run(stop)
    file = io.BytesIO()
    torch.save([first.optimizer.state_dict(), first.scheduler.state_dict()], file)
    file.seek(0)
    second = training(5, 16, min_ratio=0.1)
    for thing, state in zip((second.optimizer, second.scheduler), torch.load(file), strict=True):
        thing.load_state_dict(state)
    expected = first.expected(5, 16, 0.1, range(stop, stop + 9))
    assert_close(second.run(8), expected, what=f"在第 {stop} 步接續，之後各步的學習率")


@pytest.mark.behaviour
@pytest.mark.parametrize("warmup, total", [(5, 5), (70, 30), (0, 0)])
def test_too_few_steps(submission, rng, warmup, total):
    """total_steps ≤ warmup_steps：ValueError"""
    optimizer = torch.optim.SGD([rng.normal((2,), requires_grad=True)], lr=0.1)
    with raises(ValueError, total):
        submission.warmup_cosine(optimizer, warmup, total)
