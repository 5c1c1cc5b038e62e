"""What a check leaves for the verdict: the reason it failed, the value it saw, the ratio it measured."""

from __future__ import annotations

import math
import re
import tempfile
from dataclasses import dataclass, field
from typing import Any

from torch_kata.lazy import np, torch

SAMPLES = 512
ROUNDING = {  # relative to the largest value; integers must be equal
    "torch.float64": 1e-7,
    "torch.complex128": 1e-7,
    "torch.float32": 1e-4,
    "torch.complex64": 1e-4,
    "torch.float16": 2e-2,
    "torch.bfloat16": 2e-2,
}


TIGHT = re.compile(r"(?<=[A-Za-z0-9])(?=不符|應為|應有|應在|的(?: dtype| layout|形狀|梯度|分布|鍵|第)|沒有|含有)")


class CheckFailed(AssertionError):
    """A check's verdict against the learner's answer. `evidence` is the value that the answer gave."""

    def __init__(self, message: str, evidence: Any = None) -> None:
        super().__init__(TIGHT.sub(" ", message))  # a name in Latin letters may begin a sentence made elsewhere
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
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        value = torch.from_numpy(value.copy())
    if isinstance(value, torch.Tensor):
        try:
            return {"shape": list(value.shape), "dtype": str(value.dtype), "values": _sampled(value)}
        except Exception:  # meta, nested, quantized, or a class of the answer's own
            return f"{type(value).__name__} without values"
    if isinstance(value, dict):
        return {str(key): evidence_of(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [evidence_of(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float):
        return evidence_of(torch.tensor(value, dtype=torch.float64))
    return re.sub(r"0x[0-9a-fA-F]+", "0x", repr(value))[:2000]


def _sampled(tensor: torch.Tensor) -> list[float | str]:
    flat = tensor.detach().to("cpu")
    flat = (flat if flat.layout == torch.strided else flat.to_dense()).reshape(-1)
    if flat.is_complex():
        flat = torch.view_as_real(flat.resolve_conj()).reshape(-1)
    if len(flat) > SAMPLES:
        flat = flat[torch.linspace(0, len(flat) - 1, SAMPLES, dtype=torch.float64).long()]
    return [number if math.isfinite(number) else repr(number) for number in flat.double().tolist()]


def text_evidence(message: str) -> str:
    """A message as evidence: figures and the temporary folder differ from run to run, words do not."""
    return re.sub(r"[-+]?\d[\d.,e+-]*", "#", message.replace(tempfile.gettempdir(), ""))


def same_evidence(a: Any, b: Any) -> bool:
    """Whether two answers gave the same value, up to rounding."""
    if _is_tensor(a) and _is_tensor(b):
        return a["shape"] == b["shape"] and a["dtype"] == b["dtype"] and _close(a["values"], b["values"], a["dtype"])
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same_evidence(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same_evidence, a, b))
    return a == b


def is_telling(evidence: Any) -> bool:
    """Whether a value is particular enough to recognise a mistake by it alone: it holds a number that is no integer."""
    if _is_tensor(evidence):
        return any(isinstance(number, float) and number != round(number) for number in evidence["values"])
    if isinstance(evidence, dict):
        return any(map(is_telling, evidence.values()))
    return isinstance(evidence, list) and any(map(is_telling, evidence))


def _is_tensor(evidence: Any) -> bool:
    return isinstance(evidence, dict) and evidence.keys() == {"shape", "dtype", "values"}


def _close(a: list, b: list, dtype: str) -> bool:
    if len(a) != len(b):
        return False
    pairs = list(zip(a, b, strict=True))
    numbers = [(x, y) for x, y in pairs if not isinstance(x, str) and not isinstance(y, str)]
    if any(x != y for x, y in pairs if isinstance(x, str) or isinstance(y, str)):
        return False  # NaN and inf stand at the same places
    largest = max((abs(x) for x, _ in numbers), default=0.0)
    tolerance = ROUNDING.get(dtype, 0.0) * largest
    return all(abs(x - y) <= tolerance + 1e-12 for x, y in numbers)
