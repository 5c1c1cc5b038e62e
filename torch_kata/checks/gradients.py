"""Gradients as values: against numerical differentiation, and against an oracle under a random cotangent."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch_kata.checks.closeness import TOLERANCES, assert_close, assert_finite, cast, plain_tensor
from torch_kata.checks.record import fail
from torch_kata.lazy import np, torch

CUT = "輸出沒有連到輸入的計算圖：梯度斷了（detach、.data、item 或 no_grad？）"


def assert_gradients(function: Callable[..., Any], *inputs: Any, eps: float = 1e-6, atol: float = 1e-5) -> None:
    """torch.autograd.gradcheck of `function` at float64 copies of the floating-point `inputs`; others are passed on.

    A failure names the input and the element whose derivative differs most from the central difference.
    """
    from torch.autograd.gradcheck import GradcheckError

    inputs = tuple(_fresh(x, torch.float64) for x in inputs)
    leaves = inputs_with_grad(inputs)
    outputs = _floating(function(*inputs))
    if not any(output.requires_grad for output in outputs):
        fail(CUT, "no graph")
    assert_finite(*outputs, what="輸出")
    cotangents = _cotangents(outputs)
    analytic = [
        torch.zeros_like(x) if g is None else g for g, x in zip(_vjp(outputs, leaves, cotangents), leaves, strict=True)
    ]

    def differentiable(*arguments: Any) -> tuple:
        return tuple(_floating(function(*arguments)))

    try:
        torch.autograd.gradcheck(differentiable, inputs, eps=eps, atol=atol, rtol=1e-3, check_undefined_grad=False)
    except GradcheckError as error:
        if "not reentrant" in str(error):
            fail("同樣的輸入，兩次反向傳播的梯度不同", analytic)
        numeric = _central_differences(function, inputs, cotangents, eps)
        worst = max(range(len(leaves)), key=lambda i: _largest(analytic[i] - numeric[i]))
        difference = (analytic[worst] - numeric[worst]).abs().nan_to_num(nan=float("inf"))
        if not _largest(difference):
            fail(f"梯度檢查未通過：{str(error).strip().splitlines()[0]}", analytic)
        where = tuple(int(i) for i in np.unravel_index(int(difference.argmax()), tuple(difference.shape)))
        got, wanted = analytic[worst][where].item(), numeric[worst][where].item()
        position = next(i for i, x in enumerate(inputs) if x is leaves[worst]) + 1
        name = "" if len(inputs) == 1 else f"第 {position} 個輸入的"
        place = f"索引 {where} 處" if where else ""
        fail(f"{name}梯度與數值微分不符：{place}應為 {wanted:.6g}，得到 {got:.6g}", analytic)


def assert_same_module(
    module: Callable[..., Any],
    oracle: Callable[..., Any],
    *inputs: Any,
    weights: Mapping[str, torch.Tensor] | None = None,
    rename: Mapping[str, str] | None = None,
    rtol: float | None = None,
    atol: float | None = None,
) -> None:
    """Same outputs, input gradients and gradient of every parameter as `oracle`, under one random cotangent.

    The oracle, a torch.nn.Module, runs in float64 (and stays so) on copies of the inputs. `module` and `oracle` must
    hold the same weights already, or get them here: `weights` are loaded into the oracle and, renamed, into the module.
    `rename` maps an oracle parameter's name to the module's where they differ. Gradients may differ by
    max(1e-4 rms, 10 times what the oracle itself loses in the module's own precision); outputs by the tolerance of
    their dtype, or 10 times that loss.
    """
    rename = rename or {}
    if weights is not None:
        oracle.load_state_dict(weights)
        module.load_state_dict({rename.get(name, name): value for name, value in weights.items()})
    narrow, truth = _narrow_and_truth(module, oracle, inputs)
    own_inputs = [_fresh(x, None) for x in inputs]
    outputs = _tensors(module(*own_inputs))
    if len(outputs) != len(truth.outputs):
        fail(f"輸出應有 {len(truth.outputs)} 個張量，得到 {len(outputs)} 個", outputs)
    for index, (got, wanted) in enumerate(zip(outputs, truth.outputs, strict=True)):
        what = "輸出" if len(outputs) == 1 else f"第 {index + 1} 個輸出"
        least = TOLERANCES.get(str(got.dtype).removeprefix("torch."), (0, 0))[1]
        allowed = max(least, 10 * _loss(narrow and narrow.outputs[index], wanted)) if atol is None else atol
        assert_close(got, wanted, rtol=rtol, atol=allowed, what=what)
    if not any(output.requires_grad for output in outputs):
        fail(CUT, "no graph")
    got = _gradients(module, outputs, own_inputs)
    for index, wanted in truth.inputs.items():
        what = "輸入的梯度" if len(inputs) == 1 else f"第 {index + 1} 個輸入的梯度"
        loss = narrow and _loss(narrow.inputs[index], wanted)
        assert_gradient_close(got.inputs[index], wanted, loss=loss, what=what)
    for name, wanted in truth.parameters.items():
        own = rename.get(name, name)
        if own not in got.parameters:
            found = sorted(dict(module.named_parameters())) if hasattr(module, "named_parameters") else []
            reason = "的 requires_grad 是 False" if own in found else f"不是模組的參數；有 {found}"
            fail(f"{own} {reason}", found)
        loss = narrow and _loss(narrow.parameters[name], wanted)
        assert_gradient_close(got.parameters[own], wanted, loss=loss, what=f"{own} 的梯度")


def assert_parameter_gradients(module: torch.nn.Module, *inputs: Any, eps: float = 1e-6, rtol: float = 1e-4) -> None:
    """Every parameter has a gradient, and it agrees with the central difference along a random direction.

    For modules whose inner names the task leaves open, so that no oracle can be given their weights. A float64 copy of
    the module runs, in the mode it is in, under one random cotangent; it must give the same output twice. Where a ReLU
    bends between the two ends the difference is wrong: a gradient fails if it disagrees along three directions, and
    again at four places nearby, since a bend next to the first place is in every direction's way.
    """
    module = copy.deepcopy(module).double()
    inputs = tuple(cast(list(inputs), torch.float64))
    generator = torch.Generator().manual_seed(20260102)

    def total() -> torch.Tensor:
        outputs = _floating(module(*inputs))
        return sum((y * c).sum() for y, c in zip(outputs, _cotangents(outputs), strict=True))

    def slope(parameter: torch.Tensor, direction: torch.Tensor) -> float:
        start, ends = parameter.detach().clone(), []
        for step in (eps, -eps):
            with torch.no_grad():
                parameter.copy_(start + step * direction)
            ends.append(total().item())  # with a graph: without one torch takes other ways through a module
        with torch.no_grad():
            parameter.copy_(start)
        return (ends[0] - ends[1]) / (2 * eps)

    def disagreement(parameters: dict[str, torch.Tensor]) -> tuple[str, torch.Tensor] | None:
        value = total()
        if not value.requires_grad:
            fail(CUT, "no graph")
        gradients = dict(
            zip(parameters, torch.autograd.grad(value, [*parameters.values()], allow_unused=True), strict=True)
        )
        if missing := [name for name, gradient in gradients.items() if gradient is None]:
            fail(f"{missing[0]} 的梯度是 None：輸出沒有用到它", missing)
        for name, gradient in gradients.items():
            assert_finite(gradient, what=f"{name} 的梯度")
            for _ in range(3):
                signs = torch.randint(0, 2, gradient.shape, generator=generator).to(gradient) * 2 - 1
                got, wanted = float((gradient * signs).sum()), slope(parameters[name], signs)
                if abs(got - wanted) <= 1e-7 + rtol * max(abs(wanted), float(gradient.norm())):
                    break
            else:
                return f"{name} 的梯度與數值微分不符：沿一個隨機方向應為 {wanted:.6g}，得到 {got:.6g}", gradient
        return None

    with torch.backends.cudnn.flags(enabled=False):  # cuDNN has no backward of an RNN in eval mode
        parameters = {name: p for name, p in module.named_parameters() if p.requires_grad}
        for _ in range(5):
            if not (problem := disagreement(parameters)):
                return
            with torch.no_grad():
                for parameter in parameters.values():
                    parameter += 1e-3 * torch.randn(parameter.shape, generator=generator).to(parameter)
        fail(*problem)


def assert_gradient_close(
    got: torch.Tensor | None, wanted: torch.Tensor | None, *, loss: float | None = None, what: str = "梯度"
) -> None:
    """A float32 gradient against its float64 truth: largest error at most max(1e-4 rms, 10 loss).

    `loss` is the error of the oracle's own gradient in float32; where it is not given, every element may also differ by
    1e-4 of itself. In float64 1e-7 takes the place of 1e-4, in half precision 3e-2.
    """
    if wanted is None or not bool(wanted.any()):
        if got is None:
            return
        wanted = torch.zeros_like(got, dtype=torch.float64)
    if got is None:
        fail(f"{what}是 None：沒有梯度傳到", f"no gradient: {what}")
    plain_tensor(got, what)
    rms = float(wanted.double().square().mean().sqrt())
    scale = {torch.float64: 1e-7, torch.float32: 1e-4}.get(got.dtype, 3e-2)
    rtol = scale if loss is None else 0
    assert_close(got, wanted, rtol=rtol, atol=max(scale * max(rms, 1e-3), 10 * (loss or 0)), what=what)


def inputs_with_grad(inputs: Iterable[Any]) -> list[torch.Tensor]:
    return [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]


@dataclass
class _Gradients:
    """What a module gave: its outputs, and gradients by the inputs' positions and the parameters' names."""

    outputs: list[torch.Tensor]
    inputs: dict[int, torch.Tensor | None]
    parameters: dict[str, torch.Tensor | None]


def _narrow_and_truth(module: Any, oracle: Any, inputs: tuple) -> tuple[_Gradients | None, _Gradients]:
    """The oracle in float32, if that is what the module computes in, and in float64; its state moves on once only."""

    def evaluate(dtype: torch.dtype) -> _Gradients:
        own_inputs = [_fresh(x, dtype) for x in inputs]
        return _gradients(oracle, _tensors(oracle.to(dtype)(*own_inputs)), own_inputs)

    parameters = module.parameters() if hasattr(module, "parameters") else ()
    kinds = [x.dtype for x in [*parameters, *inputs] if isinstance(x, torch.Tensor) and x.is_floating_point()]
    narrow = None
    if kinds[:1] == [torch.float32]:
        state = copy.deepcopy(oracle.state_dict())
        narrow = evaluate(torch.float32)
        oracle.double().load_state_dict(state)
    return narrow, evaluate(torch.float64)


def _loss(narrow: torch.Tensor | None, truth: torch.Tensor | None) -> float:
    """The largest error of the oracle's value in float32."""
    if narrow is None or truth is None or not narrow.is_floating_point() or not narrow.numel():
        return 0.0
    return float((narrow.detach().double() - truth.detach()).abs().nan_to_num(0, 0).max())


def _tensors(outputs: Any) -> list[torch.Tensor]:
    """Every tensor in nested outputs."""
    if isinstance(outputs, Mapping):
        outputs = [outputs[key] for key in sorted(outputs, key=str)]
    if isinstance(outputs, list | tuple):
        return [tensor for output in outputs for tensor in _tensors(output)]
    return [] if outputs is None else [plain_tensor(outputs, "輸出")]


def _floating(outputs: Any) -> list[torch.Tensor]:
    return [tensor for tensor in _tensors(outputs) if tensor.is_floating_point()]


def _cotangents(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Random numbers, the same for the same shapes, that every dtype holds exactly."""
    generator = torch.Generator().manual_seed(20260101)
    return [torch.randn(y.shape, generator=generator).bfloat16().double().to(y.device) for y in outputs]


def _fresh(x: Any, dtype: Any) -> Any:
    """A copy of an input (in `dtype` if it is a floating-point tensor) that gradients can be taken by."""
    if not isinstance(x, torch.Tensor):
        return x
    copied = x.detach().clone()
    if not x.is_floating_point():
        return copied
    return copied.to(dtype or x.dtype).requires_grad_()


def _gradients(module: Any, outputs: list[torch.Tensor], inputs: list) -> _Gradients:
    """The gradients under one random cotangent."""
    named = module.named_parameters() if hasattr(module, "named_parameters") else ()
    parameters = {name: parameter for name, parameter in named if parameter.requires_grad}
    leaves = {index: x for index, x in enumerate(inputs) if isinstance(x, torch.Tensor) and x.requires_grad}
    used = [y for y in outputs if y.is_floating_point()]
    values = _vjp(used, [*leaves.values(), *parameters.values()], _cotangents(used))
    by_input, by_parameter = values[: len(leaves)], values[len(leaves) :]
    return _Gradients(
        outputs, dict(zip(leaves, by_input, strict=True)), dict(zip(parameters, by_parameter, strict=True))
    )


def _vjp(outputs: list, leaves: list, cotangents: list) -> tuple:
    # As the gradient of one number: torch.autograd.grad with grad_outputs would import sympy first.
    total = sum((y * c.to(y.dtype)).sum() for y, c in zip(outputs, cotangents, strict=True))
    return torch.autograd.grad(total, leaves, allow_unused=True) if leaves else ()


def _central_differences(function: Callable, inputs: tuple, cotangents: list, eps: float) -> list[torch.Tensor]:
    def value(changed: list) -> float:
        with torch.no_grad():
            outputs = _floating(function(*changed))
        return float(sum((y * c).sum() for y, c in zip(outputs, cotangents, strict=True)))

    gradients = []
    for position, x in enumerate(inputs):
        if not isinstance(x, torch.Tensor) or not x.requires_grad:
            continue
        gradient = torch.zeros(x.numel(), dtype=torch.float64)
        for element in range(x.numel()):
            ends = []
            for step in (eps, -eps):
                moved = x.detach().clone().reshape(-1)
                moved[element] += step
                ends.append(value([*inputs[:position], moved.reshape(x.shape), *inputs[position + 1 :]]))
            gradient[element] = (ends[0] - ends[1]) / (2 * eps)
        gradients.append(gradient.reshape(x.shape).to(x.device))
    return gradients


def _largest(tensor: torch.Tensor) -> float:
    return float(tensor.abs().nan_to_num(nan=float("inf")).max()) if tensor.numel() else 0.0
