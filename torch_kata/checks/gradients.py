"""Gradients as values: against numerical differentiation, and against an oracle under a random cotangent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch_kata.checks.closeness import assert_close, plain_tensor
from torch_kata.checks.record import fail
from torch_kata.lazy import torch


def assert_gradients(
    function: Callable[..., Any], *inputs: torch.Tensor, eps: float = 1e-6, atol: float = 1e-5
) -> None:
    """torch.autograd.gradcheck of `function` at float64 copies of the floating-point `inputs`.

    A failure names the input and the element whose derivative differs most from the central difference.
    """
    from torch.autograd.gradcheck import GradcheckError

    inputs = tuple(
        x.detach().to(torch.float64 if x.is_floating_point() else x.dtype).requires_grad_(x.is_floating_point())
        for x in inputs
    )
    outputs = _floating(function(*inputs))
    if not outputs or not any(output.requires_grad for output in outputs):
        fail("輸出沒有連到輸入的計算圖：梯度斷了（detach、.data、item 或 no_grad？）", "no graph")
    cotangents = _cotangents(outputs)
    analytic = _vjp(outputs, inputs_with_grad(inputs), cotangents)
    analytic = [
        torch.zeros_like(x) if g is None else g for g, x in zip(analytic, inputs_with_grad(inputs), strict=True)
    ]
    try:
        torch.autograd.gradcheck(function, inputs, eps=eps, atol=atol, rtol=1e-3, check_undefined_grad=False)
    except GradcheckError as error:
        numeric = _central_differences(function, inputs, cotangents, eps)
        worst = max(range(len(numeric)), key=lambda i: _largest(analytic[i] - numeric[i]))
        difference = (analytic[worst] - numeric[worst]).abs().nan_to_num(nan=float("inf")).reshape(-1)
        where = int(difference.argmax()) if len(difference) else 0
        got, wanted = analytic[worst].reshape(-1)[where].item(), numeric[worst].reshape(-1)[where].item()
        index = tuple(int(i) for i in torch.unravel_index(torch.tensor(where), analytic[worst].shape))
        name = "" if len(numeric) == 1 else f"第 {worst + 1} 個輸入的"
        if difference.max() > 0:
            fail(f"{name}梯度與數值微分不符：索引 {index} 處應為 {wanted:.6g}，得到 {got:.6g}", analytic)
        fail(f"梯度檢查未通過：{str(error).strip().splitlines()[0]}", analytic)


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

    The oracle runs in float64 on copies. `module` and `oracle` must hold the same weights already (load_state_dict);
    `rename` maps an oracle parameter's name to the module's where they differ. Gradients may differ by
    max(1e-4 rms, 10 times what the oracle itself loses in the module's own precision).
    """
    truth_inputs = [_fresh(x, torch.float64) for x in inputs]
    oracle = oracle.double()
    truth = _floating(oracle(*truth_inputs))
    cotangents = _cotangents(truth)
    wanted_inputs, wanted_parameters = _gradients(oracle, truth, truth_inputs, cotangents)

    own_inputs = [_fresh(x, None) for x in inputs]
    outputs = _floating(module(*own_inputs))
    assert_close(outputs, truth, rtol=rtol, atol=atol, what="輸出")
    if not any(output.requires_grad for output in outputs):
        fail("輸出沒有連到計算圖：梯度斷了（detach、.data、item 或 no_grad？）", "no graph")
    got_inputs, got_parameters = _gradients(module, outputs, own_inputs, cotangents)
    for index, (got, wanted) in enumerate(zip(got_inputs, wanted_inputs, strict=True)):
        what = "輸入的梯度" if len(got_inputs) == 1 else f"第 {index + 1} 個輸入的梯度"
        assert_gradient_close(got, wanted, what=what)
    for name, wanted in wanted_parameters.items():
        own = (rename or {}).get(name, name)
        if own not in got_parameters:
            fail(f"模組沒有名為 {own} 的參數；有 {sorted(got_parameters)}", sorted(got_parameters))
        assert_gradient_close(got_parameters[own], wanted, what=f"{own} 的梯度")


def assert_gradient_close(got: torch.Tensor | None, wanted: torch.Tensor | None, *, what: str = "梯度") -> None:
    """A float32 gradient against its float64 truth: largest error at most 1e-4 of the truth's rms (1e-7 in float64)."""
    if wanted is None or not bool(wanted.any()):
        wanted = None if got is None else torch.zeros_like(got, dtype=torch.float64)
    if wanted is None:
        return
    if got is None:
        fail(f"{what}是 None：沒有梯度傳到", "None")
    plain_tensor(got, what)
    rms = float(wanted.double().square().mean().sqrt())
    scale = {torch.float64: 1e-9, torch.float32: 1e-4}.get(got.dtype, 3e-2)
    assert_close(got, wanted, rtol=scale, atol=scale * max(rms, 1e-3), what=what)


def inputs_with_grad(inputs: tuple) -> list[torch.Tensor]:
    return [x for x in inputs if isinstance(x, torch.Tensor) and x.requires_grad]


def _floating(outputs: Any) -> list[torch.Tensor]:
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    tensors = [plain_tensor(output, "輸出") for output in outputs if output is not None]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def _cotangents(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(20260101)
    return [torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.device) for y in outputs]


def _fresh(x: Any, dtype: Any) -> Any:
    if not isinstance(x, torch.Tensor):
        return x
    copy = x.detach().clone()
    if dtype is not None and x.is_floating_point():
        copy = copy.to(dtype)
    return copy.requires_grad_(x.is_floating_point())


def _gradients(module: Any, outputs: list, inputs: list, cotangents: list) -> tuple[list, dict]:
    parameters = dict(module.named_parameters()) if hasattr(module, "named_parameters") else {}
    leaves = inputs_with_grad(tuple(inputs)) + [p for p in parameters.values() if p.requires_grad]
    used = [(y, c.to(y.dtype)) for y, c in zip(outputs, cotangents, strict=True) if y.requires_grad]
    grads = _vjp([y for y, _ in used], leaves, [c for _, c in used])
    count = len(inputs_with_grad(tuple(inputs)))
    names = [name for name, p in parameters.items() if p.requires_grad]
    return list(grads[:count]), dict(zip(names, grads[count:], strict=True))


def _vjp(outputs: list, leaves: list, cotangents: list) -> tuple:
    # As the gradient of one number: torch.autograd.grad with grad_outputs would import sympy first.
    total = sum((y * c).sum() for y, c in zip(outputs, cotangents, strict=True))
    return torch.autograd.grad(total, leaves, allow_unused=True)


def _central_differences(function: Callable, inputs: tuple, cotangents: list, eps: float) -> list[torch.Tensor]:
    def value(changed: list) -> float:
        with torch.no_grad():
            outputs = _floating(function(*changed))
        return float(sum((y * c).sum() for y, c in zip(outputs, cotangents, strict=True)))

    gradients = []
    for position, x in enumerate(inputs):
        if not x.requires_grad:
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
