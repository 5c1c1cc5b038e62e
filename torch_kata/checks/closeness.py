"""Comparison of an answer's values with what they should be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch_kata.checks.record import CheckFailed, evidence_of, fail
from torch_kata.lazy import torch

TOLERANCES = {  # torch.testing.assert_close's own
    "float64": (1e-7, 1e-7),
    "float32": (1.3e-6, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float16": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}


def dtype_of(name: Any) -> torch.dtype:
    """A torch.dtype from its name or itself."""
    return getattr(torch, name) if isinstance(name, str) else name


def cast(values: Any, dtype: str | torch.dtype) -> Any:
    """Copies of the floating-point tensors in `values` (a tensor, or nested list, tuple, dict) as `dtype`."""
    if isinstance(values, torch.Tensor):
        if not values.is_floating_point():
            return values
        return values.detach().to(dtype_of(dtype)).requires_grad_(values.requires_grad)
    if isinstance(values, Mapping):
        return {key: cast(value, dtype) for key, value in values.items()}
    return type(values)(cast(value, dtype) for value in values)


def check(condition: Any, message: str, evidence: Any = None) -> None:
    """Fails with `message` unless `condition` holds."""
    if not bool(condition):
        fail(message, evidence)


def plain_tensor(value: Any, what: str = "結果") -> torch.Tensor:
    """`value`, if it is a plain tensor: a subclass of the learner's own could call itself equal to anything."""
    from torch import nn

    allowed = (torch.Tensor, nn.Parameter, nn.Buffer)
    if type(value) in allowed or type(value).__module__.startswith("torchvision.tv_tensors"):
        return value
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    fail(f"{what}應為 torch.Tensor，得到 {kind}", kind)


def assert_tensor(value: Any, what: str = "結果") -> None:
    """A plain torch.Tensor (or Parameter, or tv_tensor), not a subclass of the answer's own."""
    plain_tensor(value, what)


def assert_shape(actual: Any, shape: Iterable[int], what: str = "結果") -> None:
    """The exact shape."""
    found, wanted = tuple(plain_tensor(actual, what).shape), tuple(shape)
    if found != wanted:
        fail(f"{what}的形狀應為 {wanted}，得到 {found}", f"shape {found}")


def assert_dtype(actual: Any, dtype: str | torch.dtype, what: str = "結果") -> None:
    """The exact dtype."""
    wanted = dtype_of(dtype)
    if plain_tensor(actual, what).dtype != wanted:
        fail(f"{what}的 dtype 應為 {_short(wanted)}，得到 {_short(actual.dtype)}", f"dtype {actual.dtype}")


def assert_finite(*tensors: Any, what: str = "結果") -> None:
    """No NaN and no inf in any of the tensors; a gradient that is None counts as missing."""
    for tensor in tensors:
        if tensor is None:
            fail(f"{what}沒有梯度（None）", "None")
        bad = ~torch.isfinite(plain_tensor(tensor, what).detach())
        if bad.any():
            where = tuple(bad.nonzero()[0].tolist())
            number = tensor.detach()[where].item()
            fail(f"{what}含有 {number}：第一個在索引 {where}，共 {int(bad.sum())} 個", tensor)


def assert_equal(actual: Any, expected: Any, what: str = "結果") -> None:
    """Exact equality, of plain values or of tensors bit for bit (NaN equals NaN), dtype and shape included."""
    if isinstance(expected, torch.Tensor):
        plain_tensor(actual, what)
        assert_shape(actual, expected.shape, what)
        assert_dtype(actual, expected.dtype, what)
        assert_close(actual, expected, rtol=0, atol=0, what=what)
    elif type(actual) is not type(expected) or actual != expected:
        fail(f"{what}應為 {_show(expected)}，得到 {_show(actual)}", actual)


def assert_type(value: Any, kind: type | tuple[type, ...], what: str = "結果") -> None:
    """An instance of `kind`."""
    if not isinstance(value, kind):
        names = "、".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        fail(f"{what}應為 {names}，得到 {type(value).__name__}", f"type {type(value).__name__}")


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    what: str = "結果",
) -> None:
    """Same structure, shape and values within the tolerance of `actual`'s dtype (torch.testing.assert_close's).

    `expected` may be of higher precision than `actual`: the truth is best computed in float64. Numbers, tensors and
    nested lists, tuples and dicts of them are compared; a failure names the largest error and where it is.
    """
    problems = list(_differences(actual, expected, rtol, atol, what))
    if problems:
        raise CheckFailed(problems[0], evidence_of(actual))


def _differences(actual: Any, expected: Any, rtol: Any, atol: Any, what: str) -> Iterable[str]:
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping) or set(actual) != set(expected):
            found = sorted(map(str, actual)) if isinstance(actual, Mapping) else type(actual).__name__
            yield f"{what}的鍵應為 {sorted(map(str, expected))}，得到 {found}"
            return
        for key in expected:
            yield from _differences(actual[key], expected[key], rtol, atol, f"{what}[{key!r}]")
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        if not isinstance(actual, Sequence) or len(actual) != len(expected):
            found = f"{len(actual)} 項" if isinstance(actual, Sequence) else type(actual).__name__
            yield f"{what}應有 {len(expected)} 項，得到 {found}"
            return
        for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
            yield from _differences(a, e, rtol, atol, f"{what}的第 {index} 項" if len(expected) > 1 else what)
    elif isinstance(expected, torch.Tensor):
        yield from _tensor_difference(actual, expected, rtol, atol, what)
    else:
        yield from _number_difference(actual, expected, rtol, atol, what)


def _number_difference(actual: Any, expected: float, rtol: Any, atol: Any, what: str) -> Iterable[str]:
    if isinstance(actual, bool) or not isinstance(actual, int | float):
        yield f"{what}應為數字 {expected:.6g}，得到 {_show(actual)}"
        return
    rtol, atol = (1e-5 if rtol is None else rtol), (1e-7 if atol is None else atol)
    both_nan = math.isnan(actual) and math.isnan(expected)
    if not both_nan and actual != expected and not abs(actual - expected) <= atol + rtol * abs(expected):
        yield f"{what}應為 {expected:.6g}，得到 {actual:.6g}（rtol={rtol:g}、atol={atol:g}）"


def _tensor_difference(actual: Any, expected: torch.Tensor, rtol: Any, atol: Any, what: str) -> Iterable[str]:
    actual = plain_tensor(actual, what)
    if actual.shape != expected.shape:
        yield f"{what}的形狀應為 {tuple(expected.shape)}，得到 {tuple(actual.shape)}"
        return
    if actual.device != expected.device and actual.device.type != expected.device.type:
        yield f"{what}應在 {expected.device}，得到 {actual.device}"
        return
    default = TOLERANCES.get(_short(actual.dtype), (0.0, 0.0))
    rtol, atol = (default[0] if rtol is None else rtol), (default[1] if atol is None else atol)
    wide = torch.complex128 if actual.is_complex() or expected.is_complex() else torch.float64
    a, e = actual.detach().to(wide), expected.detach().to(wide)
    if not actual.is_complex() and not actual.is_floating_point() and (rtol, atol) == (0.0, 0.0):
        wrong = actual.detach() != expected.detach().to(actual.dtype)
        wrong |= a != e
    else:
        # The truth cast down is also right: a value too large for the answer's dtype is inf there.
        cast_down = expected.detach().to(actual.dtype).to(wide)
        equal = (a == e) | (a == cast_down) | (a.isnan() & e.isnan())
        wrong = ~(equal | ((a - e).abs() <= atol + rtol * e.abs()))
    if not wrong.any():
        return
    error = torch.where(wrong, (a - e).abs().nan_to_num(nan=math.inf), -1.0)
    where = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape)) if error.dim() else ()
    place = f"索引 {where if len(where) != 1 else where[0]} 處" if where else ""
    count = f"，{wrong.numel()} 個值中有 {int(wrong.sum())} 個不符" if wrong.numel() > 1 else ""
    limit = f"（容許誤差 rtol={rtol:g}、atol={atol:g}）" if rtol or atol else ""
    yield f"{what}不符{count}；{place}應為 {_number(e[where])}，得到 {_number(a[where])}{limit}"


def _number(value: torch.Tensor) -> str:
    number = value.item()
    return f"{number:.6g}" if not isinstance(number, complex) else f"{number:.4g}"


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
