"""The vocabulary of graders: everything a grader may use of the engine. Importing it imports no torch."""

from torch_kata.checks.calls import count_calls, forbid
from torch_kata.checks.closeness import (
    assert_close,
    assert_dtype,
    assert_equal,
    assert_finite,
    assert_shape,
    assert_tensor,
    assert_type,
    cast,
    check,
)
from torch_kata.checks.effects import raises, same_random_state, same_seed, unchanged
from torch_kata.checks.fixtures import fixture
from torch_kata.checks.gradients import (
    assert_gradient_close,
    assert_gradients,
    assert_parameter_gradients,
    assert_same_module,
)
from torch_kata.checks.memory import assert_memory_growth, held_bytes, tensor_bytes
from torch_kata.checks.processes import call_within, nothing_left_open, nothing_left_running, run_program, run_python
from torch_kata.checks.randomness import (
    Rng,
    assert_distribution,
    assert_frequencies,
    assert_mean,
    assert_rate,
    shared_rng,
)
from torch_kata.checks.record import NotRunHere, fail
from torch_kata.checks.speed import assert_within_budget
from torch_kata.checks.training import Adam
from torch_kata.lazy import F, nn, np, torch

__all__ = [
    "Adam",
    "F",
    "NotRunHere",
    "Rng",
    "assert_close",
    "assert_distribution",
    "assert_dtype",
    "assert_equal",
    "assert_finite",
    "assert_frequencies",
    "assert_gradient_close",
    "assert_gradients",
    "assert_mean",
    "assert_memory_growth",
    "assert_parameter_gradients",
    "assert_rate",
    "assert_same_module",
    "assert_shape",
    "assert_tensor",
    "assert_type",
    "assert_within_budget",
    "call_within",
    "cast",
    "check",
    "count_calls",
    "fail",
    "fixture",
    "forbid",
    "held_bytes",
    "nn",
    "nothing_left_open",
    "nothing_left_running",
    "np",
    "raises",
    "run_program",
    "run_python",
    "same_random_state",
    "same_seed",
    "shared_rng",
    "tensor_bytes",
    "torch",
    "unchanged",
]
