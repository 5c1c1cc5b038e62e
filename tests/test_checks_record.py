"""Evidence: what a failed check keeps of an answer's value, and when two such values are the same."""

import json
import math

import numpy as np
import pytest
import torch

from torch_kata.checks import fail
from torch_kata.checks.record import (
    SAMPLES,
    CheckFailed,
    Record,
    evidence_of,
    is_telling,
    same_evidence,
    text_evidence,
)


def same(a, b):
    """Whether two values are the same evidence, after the way over the channel."""
    one, two = (json.loads(json.dumps(evidence_of(value))) for value in (a, b))
    assert same_evidence(one, two) == same_evidence(two, one)
    assert same_evidence(one, one)
    return same_evidence(one, two)


def test_fail():
    with pytest.raises(CheckFailed) as caught:
        fail("不對", torch.tensor([1.5]))
    assert str(caught.value) == "不對" and isinstance(caught.value, AssertionError)
    assert caught.value.evidence == {"shape": [1], "dtype": "torch.float32", "values": [1.5]}
    with pytest.raises(CheckFailed) as caught:
        fail("不對")
    assert caught.value.evidence is None


def test_tensors():
    x = torch.tensor([0.5, -1.25, 3.0])
    assert same(x, x.clone()) and same(x, x * (1 + 1e-6)) and same(x.requires_grad_(), x.detach())
    assert not same(x, x * (1 + 1e-2)) and not same(x, x[:2]) and not same(x, x[None]) and not same(x, x.double())
    assert not same(x, -x) and not same(x, x.flip(0))
    assert same(x.double(), x.double() * (1 + 1e-9)) and not same(x.double(), x.double() * (1 + 1e-5))
    assert same(x.bfloat16(), x.bfloat16() * 1.005) and not same(x.bfloat16(), x.bfloat16() * 1.1)


def test_tolerance_is_of_the_largest_value():
    assert same(torch.tensor([1000.0, 0.0]), torch.tensor([1000.0, 0.05]))
    assert not same(torch.tensor([1000.0, 0.0]), torch.tensor([1000.0, 0.5]))


def test_integers_are_exact():
    x = torch.tensor([100, 200])
    assert same(x, x.clone()) and not same(x, torch.tensor([100, 201])) and not same(x, x.int())
    assert same(x > 150, torch.tensor([False, True])) and not same(x > 150, torch.tensor([True, True]))


def test_nan_and_infinity_stand_at_their_places():
    nan, inf = math.nan, math.inf
    assert same(torch.tensor([1.0, nan]), torch.tensor([1.0, nan]))
    assert not same(torch.tensor([1.0, nan]), torch.tensor([nan, 1.0]))
    assert not same(torch.tensor([inf, 1.0]), torch.tensor([-inf, 1.0]))
    assert not same(torch.tensor([nan, 1.0]), torch.tensor([inf, 1.0]))
    assert not same(torch.tensor([nan]), torch.tensor([1.0]))


def test_complex_sparse_empty_and_scalars():
    z = torch.tensor([1 + 2j])
    assert same(z, z.clone()) and not same(z, z.conj()) and same(z.conj(), z.conj().resolve_conj())
    assert same(torch.eye(2).to_sparse(), torch.eye(2).to_sparse()) and not same(torch.eye(2).to_sparse(), z)
    assert same(torch.empty(0, 2), torch.empty(0, 2)) and not same(torch.empty(0, 2), torch.empty(2, 0))
    assert same(torch.tensor(1.5), torch.tensor(1.5)) and same(np.array([1.5]), torch.tensor([1.5]).double())


def test_large_tensors_are_sampled_alike():
    x = torch.randn(100, 777)
    evidence = evidence_of(x)
    assert len(evidence["values"]) == SAMPLES and evidence["shape"] == [100, 777]
    assert evidence["values"][0] == float(x[0, 0]) and evidence["values"][-1] == float(x[-1, -1])
    assert same(x, x.clone()) and not same(x, x + 1)


@pytest.mark.parametrize("size", [SAMPLES, SAMPLES + 1, 20_000_003])
def test_samples_of_any_size_stay_inside(size):
    x = torch.arange(size, dtype=torch.int32)
    values = evidence_of(x)["values"]
    assert values[0] == 0 and values[-1] == size - 1 and len(values) == SAMPLES


def test_structures():
    x = torch.ones(2)
    assert same([x, {"a": (x, 1.5)}], [x, {"a": [x, 1.5]}])
    assert not same([x], [x, x]) and not same({"a": x}, {"b": x}) and not same([x], x)
    assert same({1: x}, {"1": x})
    assert same({"values": x, "indices": 1}, {"values": x, "indices": 1})
    assert not same({"values": x, "indices": 1}, {"values": x, "indices": 2})
    assert not same({"values": x, "indices": x}, x)
    assert same(None, None) and same(True, True) and same("a", "a") and not same("a", "b") and not same(True, 1.0)
    assert same(1.5, 1.5) and not same(1.5, 1.6) and not same(1, 2) and same(math.nan, math.nan)


def test_other_values_are_told_by_their_text():
    class Thing:
        pass

    assert same(Thing(), Thing())  # but for the address
    assert not same({1, 2}, {1, 3}) and same(torch.float32, torch.float32)


def test_tensors_without_values():
    class Mine(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise RuntimeError

    for odd in (torch.ones(2, device="meta"), torch.ones(2).as_subclass(Mine)):
        assert same(odd, odd) and not same(odd, torch.ones(2)) and not is_telling(evidence_of(odd))


def test_telling():
    for value in (torch.tensor([1.0, 2.5]), 0.3, [1, "a", {"b": torch.tensor(0.1)}], {"values": torch.tensor(0.1)}):
        assert is_telling(evidence_of(value)), value
    for value in (torch.tensor([1.0, math.nan]), 3, "0.5", None, True, [], torch.empty(0), {"a": torch.ones(3)}):
        assert not is_telling(evidence_of(value)), value
    assert not is_telling("raised #") and not is_telling(None)


def test_text():
    assert text_evidence("第 3 個是 -1.5e-07，不是 2") == text_evidence("第 12 個是 +4，不是 0.5")
    assert text_evidence("少了 a") != text_evidence("少了 b")


def test_a_path_in_a_message_is_the_same_in_another_temporary_folder(monkeypatch):
    found = set()
    for folder in ("/tmp/kata-ab_x", "/tmp/kata-qz_y"):
        monkeypatch.setattr("tempfile.tempdir", folder)
        found.add(text_evidence(f"{folder}/pytest/test_a0/x.pt 不完整"))
    assert len(found) == 1 and "x.pt" in found.pop()


def test_an_address_is_no_evidence():
    assert evidence_of(type("A", (), {"__repr__": lambda self: "<A at 0x7FAB>"})()) == "<A at 0x>"


def test_a_new_record():
    record = Record()
    record.ratio = 2.0
    record.timings["你的解"] = [1.0]
    record.__init__()
    assert record.ratio is None and record.timings == {} and not record.bench
