"""Memory: a block's growth, and the bytes of tensors."""

import mmap
import threading
import time

import pytest
import torch

from torch_kata.checks import assert_memory_growth, held_bytes, tensor_bytes
from torch_kata.checks.memory import private_bytes
from torch_kata.checks.record import CheckFailed

MIB = 2**20


def hold(megabytes, seconds=0.05):
    """Pages that are written to, and held for a while."""
    kept = torch.ones(megabytes * MIB // 4)
    time.sleep(seconds)
    return kept


def grown(message):
    """The MiB that a failure names."""
    return float(message.partition("增加了 ")[2].partition(" MiB")[0])


def test_memory_that_is_kept():
    with pytest.raises(CheckFailed) as caught, assert_memory_growth(40):
        kept = hold(64)
    assert len(kept) and "上限是 40 MiB" in str(caught.value) and "\n" not in str(caught.value)
    assert 60 <= grown(str(caught.value)) <= 80


def test_memory_that_is_given_back_counts_at_its_peak():
    with pytest.raises(CheckFailed) as caught, assert_memory_growth(40):
        hold(64)
    assert 60 <= grown(str(caught.value)) <= 80


def test_a_leak_over_many_small_steps():
    kept = []
    with pytest.raises(CheckFailed), assert_memory_growth(10):
        for _ in range(2000):  # far more than what was freed before, and may be given out again
            kept.append(torch.ones(16 * 1024))  # 64 KiB each


def test_memory_below_the_limit():
    with assert_memory_growth(40) as growth:
        hold(16)
        hold(16)
    assert growth.peak <= 36 * MIB  # no lower bound: what was freed before may be given out again
    with assert_memory_growth(10) as growth:
        pass
    assert 0 <= growth.peak < 10 * MIB


def test_what_was_there_before_does_not_count():
    before = hold(64, 0)
    with assert_memory_growth(20):
        before.mul_(2)


@pytest.mark.skipif(not hasattr(mmap, "MAP_PRIVATE"), reason="maps are Linux's here")
def test_files_that_are_mapped_do_not_count(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(bytes(48 * MIB))
    with open(path, "rb") as file, assert_memory_growth(20):
        mapped = torch.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY), dtype=torch.uint8)
        assert int(mapped.max()) == 0


def test_an_exception_of_the_block_comes_through():
    with pytest.raises(ZeroDivisionError), assert_memory_growth(1):
        kept = hold(8)
        raise ZeroDivisionError(kept)


def test_the_watcher_ends():
    with assert_memory_growth(100):
        assert "torch-kata-memory" in {thread.name for thread in threading.enumerate()}
    assert "torch-kata-memory" not in {thread.name for thread in threading.enumerate()}


def test_private_bytes():
    before = private_bytes()
    kept = torch.ones(32 * MIB // 4)
    assert 28 * MIB <= private_bytes() - before <= 40 * MIB and len(kept)


def test_tensor_bytes():
    assert tensor_bytes() == 0
    assert tensor_bytes(torch.ones(3, 4), torch.ones(5, dtype=torch.float64), torch.ones(2, dtype=torch.bool)) == 90
    assert tensor_bytes(torch.ones(3, 4).t(), torch.empty(0), torch.ones(2).bfloat16()) == 52


class Wrapped(torch.nn.Module):
    """A float copy kept in some place; 4,000 bytes of weights of its own."""

    def __init__(self, place, kept):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1000))
        if place == "attribute":
            self.kept = kept
        elif place == "list":
            self.kept = [{"deep": (kept,)}]
        elif place == "closure":
            self.register_forward_hook(lambda *_: kept.sum())
        elif place == "default":
            self.run = lambda x, w=kept: x @ w
        elif place == "module":
            self.kept = [torch.nn.ParameterList([kept])]
        elif place == "object":
            self.kept = Holder(kept)
        elif place == "method":
            self.kept = Holder(kept).get


class Holder:
    def __init__(self, kept):
        self.kept = kept

    def get(self):
        return self.kept


@pytest.mark.parametrize("place", ["attribute", "list", "closure", "default", "module", "object", "method"])
def test_held_bytes_finds_a_copy(place):
    assert held_bytes(Wrapped(place, torch.zeros(500))) == 4000 + 2000


def test_held_bytes_counts_a_storage_once():
    kept = torch.zeros(30, 20)
    assert held_bytes([kept, kept.T, kept[3], {"a": kept.view(-1)}]) == 2400
    assert held_bytes(Wrapped("none", None)) == 4000
    assert held_bytes(torch.zeros(10, dtype=torch.int8)) == 10
    assert held_bytes(torch.zeros(10, device="meta")) == 0
