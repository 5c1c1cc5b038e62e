"""Comparison of an answer's values with what they should be."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

from torch_kata.checks.record import CheckFailed, evidence_of, fail
from torch_kata.lazy import np, torch

TOLERANCES = {  # torch.testing.assert_close's own
    "float64": (1e-7, 1e-7),
    "float32": (1.3e-6, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float16": (1e-3, 1e-5),
    "complex32": (1e-3, 1e-5),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}

LONGEST = 120  # characters of a value that a message shows


def dtype_of(name: Any) -> torch.dtype:
    """A torch.dtype from its name or itself."""
    return getattr(torch, name) if isinstance(name, str) else name


def cast(values: Any, dtype: str | torch.dtype) -> Any:
    """Copies of the floating-point tensors in `values` (a tensor, or nested list, tuple, dict) as `dtype`.

    Everything else stays what it is.
    """
    if isinstance(values, torch.Tensor) and values.is_floating_point():
        return values.detach().to(dtype_of(dtype), copy=True).requires_grad_(values.requires_grad)
    if isinstance(values, Mapping):
        return {key: cast(value, dtype) for key, value in values.items()}
    if isinstance(values, list | tuple):
        parts = [cast(value, dtype) for value in values]
        return type(values)(*parts) if hasattr(values, "_fields") else type(values)(parts)
    return values


def check(condition: Any, message: str, evidence: Any = None) -> None:
    """Fails with `message` unless `condition` holds."""
    if not bool(condition):
        fail(message, evidence)


def plain_tensor(value: Any, what: str = "結果") -> torch.Tensor:
    """`value`, if it is a plain tensor: a subclass of the learner's own could call itself equal to anything."""
    tv_tensors = getattr(sys.modules.get("torchvision.tv_tensors"), "__dict__", {})
    if not any(type(value) is kind for kind in (torch.Tensor, torch.nn.Parameter, *tv_tensors.values())):
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        fail(f"{what}應為 torch.Tensor，得到 {kind}", kind)
    if value.is_nested:
        fail(f"{what}應為一般的張量，得到 nested tensor", "nested tensor")
    return value


def _dense(value: torch.Tensor, what: str) -> torch.Tensor:
    """The tensor's values without its graph, sparse ones spread out; fails for a tensor that has none."""
    if value.is_meta:
        fail(f"{what}在 meta 裝置上，沒有數值", "meta tensor")
    value = value.detach()
    return value if value.layout == torch.strided else value.to_dense()


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
        values = _dense(plain_tensor(tensor, what), what)
        bad = ~torch.isfinite(values)
        if bad.any():
            where = tuple(bad.nonzero()[0].tolist())
            place = f"：第一個在{_place(where)}，共 {int(bad.sum())} 個" if where else ""
            fail(f"{what}含有 {values[where].item()}{place}", values)


def assert_equal(actual: Any, expected: Any, what: str = "結果") -> None:
    """Exact equality of value and type (True is not 1, a list no tuple), of tensors with dtype and shape.

    Lists, tuples and dicts are compared part by part; a subclass (a named tuple, a Counter) may stand for its base.
    NaN equals NaN.
    """
    problem = next(_inequalities(actual, expected, what), None)
    if problem:
        texts = [repr(expected), repr(actual)] if isinstance(expected, list | tuple | dict) else []
        if texts and max(map(len, texts)) <= LONGEST and "tensor(" not in "".join(texts) and texts[0] != texts[1]:
            problem = f"{what}應為 {texts[0]}，得到 {texts[1]}"
        raise CheckFailed(problem, evidence_of(actual))


def _inequalities(actual: Any, expected: Any, what: str) -> Iterator[str]:
    """What differs, in words, part by part."""
    if isinstance(expected, torch.Tensor | np.ndarray):
        kind = np.ndarray if isinstance(expected, np.ndarray) else torch.Tensor
        if isinstance(actual, kind) and actual.shape == expected.shape and actual.dtype != expected.dtype:
            yield f"{what}的 dtype 應為 {_short(expected.dtype)}，得到 {_short(actual.dtype)}"
        yield from _differences(actual, expected, 0, 0, what)
    elif isinstance(expected, dict | list | tuple):
        base = next(kind for kind in (dict, list, tuple) if isinstance(expected, kind))
        if not isinstance(actual, base):
            yield f"{what}應為 {base.__name__}，得到 {_show(actual)}"
        elif base is dict and {(type(key), key) for key in actual} != {(type(key), key) for key in expected}:
            yield f"{what}的鍵應為 {_show(list(expected))}，得到 {_show(list(actual))}"
        elif len(actual) != len(expected):
            yield f"{what}應有 {len(expected)} 項，得到 {len(actual)} 項"
        else:
            for key in expected if base is dict else range(len(expected)):
                part = f"{what}[{key!r}]" if base is dict else f"{what}的第 {key} 項"
                yield from _inequalities(actual[key], expected[key], part)
    elif type(actual) is not type(expected) or not (actual == expected or (actual != actual and expected != expected)):
        wanted, found = _show(expected), _show(actual)
        yield f"{what}應為 {wanted}，得到 {found}" + (f"（{_kind(actual)}）" if wanted == found else "")


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

    `expected` may be of higher precision than `actual`: the truth is best computed in float64; where it is of lower
    precision, its own tolerance counts. Tensors, arrays, numbers (rtol 1e-5, atol 1e-7) and nested lists, tuples and
    dicts of them are compared, anything else for equality; a failure names the largest error and where it is.
    """
    problem = next(_differences(actual, expected, rtol, atol, what), None)
    if problem:
        raise CheckFailed(problem, evidence_of(actual))


def _differences(actual: Any, expected: Any, rtol: Any, atol: Any, what: str) -> Iterator[str]:
    """What differs, in words, part by part."""
    if isinstance(expected, Mapping):
        if not isinstance(actual, Mapping) or set(actual) != set(expected):
            found = sorted(map(str, actual)) if isinstance(actual, Mapping) else _kind(actual)
            yield f"{what}的鍵應為 {sorted(map(str, expected))}，得到 {found}"
            return
        for key in expected:
            yield from _differences(actual[key], expected[key], rtol, atol, f"{what}[{key!r}]")
    elif isinstance(expected, Sequence) and not isinstance(expected, str | bytes):
        if not isinstance(actual, Sequence) or isinstance(actual, str) or len(actual) != len(expected):
            listed = isinstance(actual, Sequence) and not isinstance(actual, str)
            yield f"{what}應有 {len(expected)} 項，得到 {f'{len(actual)} 項' if listed else _kind(actual)}"
            return
        for index, (a, e) in enumerate(zip(actual, expected, strict=True)):
            yield from _differences(a, e, rtol, atol, f"{what}的第 {index} 項" if len(expected) > 1 else what)
    elif isinstance(expected, torch.Tensor):
        yield from _tensor_differences(plain_tensor(actual, what), expected, rtol, atol, what)
    elif isinstance(expected, np.ndarray):
        if type(actual) is not np.ndarray:
            yield f"{what}應為 numpy.ndarray，得到 {_kind(actual)}"
        elif expected.dtype.kind not in "biufc" or actual.dtype.kind not in "biufc":
            same = actual.shape == expected.shape and bool((actual == expected).all())
            yield from () if same else [f"{what}應為 {_show(expected)}，得到 {_show(actual)}"]
        else:
            both = (torch.from_numpy(array.copy()) for array in (actual, expected))
            yield from _tensor_differences(*both, rtol, atol, what)
    elif isinstance(expected, Real) and not isinstance(expected, bool):
        yield from _number_differences(actual, expected, rtol, atol, what)
    else:
        yield from _inequalities(actual, expected, what)


def _number_differences(actual: Any, expected: float, rtol: Any, atol: Any, what: str) -> Iterator[str]:
    if isinstance(actual, bool) or not isinstance(actual, Real):
        yield f"{what}應為數字 {expected:.6g}，得到 {_show(actual)}"
        return
    rtol, atol = (1e-5 if rtol is None else rtol), (1e-7 if atol is None else atol)
    error = abs(actual - expected)
    near = math.isfinite(error) and error <= atol + rtol * abs(expected)
    if not near and actual != expected and not (math.isnan(actual) and math.isnan(expected)):
        wanted, found = _numbers(expected, actual)
        yield f"{what}應為 {wanted}，得到 {found}（容許誤差 rtol={rtol:g}、atol={atol:g}）"


def _tensor_differences(actual: torch.Tensor, expected: torch.Tensor, rtol: Any, atol: Any, what: str) -> Iterator[str]:
    if actual.shape != expected.shape:
        yield f"{what}的形狀應為 {tuple(expected.shape)}，得到 {tuple(actual.shape)}"
        return
    if actual.device.type != expected.device.type:
        yield f"{what}應在 {expected.device}，得到 {actual.device}"
        return
    if actual.is_complex() != expected.is_complex():
        yield f"{what}應為{'複' if expected.is_complex() else '實'}數，得到 {_short(actual.dtype)}"
        return
    if actual.layout != expected.layout:
        yield f"{what}的 layout 應為 {_short(expected.layout)}，得到 {_short(actual.layout)}"
        return
    actual, expected = _dense(actual, what), _dense(expected, what).to(actual.device)
    defaults = [TOLERANCES.get(_short(tensor.dtype), (0.0, 0.0)) for tensor in (actual, expected)]
    rtol = max(default[0] for default in defaults) if rtol is None else rtol
    atol = max(default[1] for default in defaults) if atol is None else atol
    wide = torch.complex128 if actual.is_complex() else torch.float64
    a, e = actual.to(wide), expected.to(wide)
    integers = not (actual.is_floating_point() or actual.is_complex())
    if integers and actual.dtype == expected.dtype:
        a, e = actual, expected  # float64 does not hold the integers above 2**53
    equal = a == e
    if not integers:
        # The truth cast down is also right: a value too large for the answer's dtype is inf there.
        equal |= (a == expected.to(actual.dtype).to(wide)) | (a.isnan() & e.isnan())
    error, allowed = (a.to(wide) - e.to(wide)).abs(), atol + rtol * e.to(wide).abs()
    wrong = ~(equal | (error.isfinite() & (error <= allowed) & (allowed > 0)))
    if not wrong.any():
        return
    error = torch.where(wrong, error.nan_to_num(nan=math.inf), -1.0)
    where = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape)) if error.dim() else ()
    count = f"，{wrong.numel()} 個值中有 {int(wrong.sum())} 個不符" if wrong.numel() > 1 else ""
    limit = f"（容許誤差 rtol={rtol:g}、atol={atol:g}）" if rtol or atol else ""
    wanted, found = _numbers(e[where].item(), a[where].item())
    yield f"{what}不符{count}；{_place(where) + '處' if where else ''}應為 {wanted}，得到 {found}{limit}"


def _place(where: tuple[int, ...]) -> str:
    return f"索引 {where if len(where) != 1 else where[0]} "


def _numbers(wanted: Any, found: Any) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to tell them apart."""
    for digits in (6, 9, 17):
        texts = tuple(f"{n:.{digits}g}" if isinstance(n, float | complex) else str(n) for n in (wanted, found))
        if texts[0] != texts[1]:
            break
    return texts


def _short(kind: Any) -> str:
    return str(kind).removeprefix("torch.")


def _kind(value: Any) -> str:
    return type(value).__name__


def _show(value: Any) -> str:
    text = re.sub(r"\s*\n\s*", " ", repr(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
