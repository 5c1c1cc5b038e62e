"""What a check leaves for the verdict: the reason it failed, the value it saw, the ratio it measured."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from torch_kata.lazy import torch

SAMPLES = 512


class CheckFailed(AssertionError):
    """A check's verdict against the learner's answer. `evidence` is the value that the answer gave."""

    def __init__(self, message: str, evidence: Any = None) -> None:
        super().__init__(message)
        self.evidence = evidence


class NotRunHere(Exception):
    """The machine lacks what a check needs; the message says what, and how to get it."""


def fail(message: str, evidence: Any = None) -> None:
    """Ends the check with `message`; `evidence` is the answer's own value, for the diagnosis."""
    raise CheckFailed(message, None if evidence is None else evidence_of(evidence))


@dataclass
class Record:
    """The running check's own record; the plugin makes a new one for every check."""

    ratio: float | None = None
    timings: dict[str, list[float]] = field(default_factory=dict)
    bench: bool = False


current = Record()


def evidence_of(value: Any) -> Any:
    """A value as JSON that `same_evidence` can compare: tensors by shape, dtype and up to 512 of their elements."""
    if isinstance(value, torch.Tensor):
        flat = value.detach().to("cpu").reshape(-1)
        if flat.is_complex():
            flat = torch.view_as_real(flat.resolve_conj()).reshape(-1)
        if len(flat) > SAMPLES:
            flat = flat[torch.linspace(0, len(flat) - 1, SAMPLES).long()]
        numbers = [
            repr(number) if math.isnan(number) or math.isinf(number) else number for number in flat.double().tolist()
        ]
        return {"shape": list(value.shape), "dtype": str(value.dtype), "values": numbers}
    if isinstance(value, dict):
        return {str(key): evidence_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [evidence_of(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float):
        return evidence_of(torch.tensor(value, dtype=torch.float64))
    return re.sub(r"0x[0-9a-f]+", "0x", repr(value))[:2000]


def text_evidence(message: str) -> str:
    """A message as evidence: figures differ from run to run, words do not."""
    return re.sub(r"[-+]?\d[\d.,e+-]*", "#", message)


def same_evidence(a: Any, b: Any) -> bool:
    """Whether two answers gave the same value, up to rounding."""
    if isinstance(a, dict) and isinstance(b, dict) and "values" in a and "values" in b:
        return a["shape"] == b["shape"] and a["dtype"] == b["dtype"] and _close(a["values"], b["values"], a["dtype"])
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_evidence(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_evidence, a, b))
    return a == b


def is_telling(evidence: Any) -> bool:
    """Whether a value is particular enough to recognise a mistake by it alone: it holds a number that is no integer."""
    if isinstance(evidence, dict) and "values" in evidence:
        return any(isinstance(number, float) and number != round(number) for number in evidence["values"])
    if isinstance(evidence, dict):
        return any(map(is_telling, evidence.values()))
    return isinstance(evidence, list) and any(map(is_telling, evidence))


def _close(a: list, b: list, dtype: str) -> bool:
    if [x for x in a if isinstance(x, str)] != [x for x in b if isinstance(x, str)] or len(a) != len(b):
        return False
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if not isinstance(x, str) and not isinstance(y, str)]
    largest = max((abs(x) for x, _ in pairs), default=0.0)
    tolerance = {"torch.float64": 1e-7, "torch.float32": 1e-4}.get(dtype, 2e-2) * largest
    return all(abs(x - y) <= tolerance + 1e-12 for x, y in pairs)
