"""Random inputs for the graders, and statistical tests of random answers, each with a false alarm rate of 1e-6."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from torch_kata.checks.closeness import dtype_of, plain_tensor
from torch_kata.checks.record import fail
from torch_kata.lazy import np, torch

FALSE_ALARM = 1e-6


class Rng:
    """The source of a check's inputs; the same seed and check give the same inputs, on any device."""

    def __init__(self, seed: Sequence[int], device: Any) -> None:
        self.numpy = np.random.default_rng(seed)
        self.device = device

    def normal(self, shape: Sequence[int], *, dtype: str = "float32", requires_grad: bool = False) -> torch.Tensor:
        """Standard normal numbers."""
        return self._tensor(self.numpy.standard_normal(tuple(shape)), dtype, requires_grad)

    def uniform(
        self,
        shape: Sequence[int],
        low: float = 0.0,
        high: float = 1.0,
        *,
        dtype: str = "float32",
        requires_grad: bool = False,
    ) -> torch.Tensor:
        """Uniform numbers on [low, high)."""
        return self._tensor(self.numpy.uniform(low, high, tuple(shape)), dtype, requires_grad)

    def integers(self, low: int, high: int, shape: Sequence[int] = (), *, dtype: str = "int64") -> torch.Tensor:
        """Integers in [low, high)."""
        return self._tensor(self.numpy.integers(low, high, tuple(shape)), dtype, False)

    def bernoulli(self, p: float, shape: Sequence[int], *, dtype: str = "float32") -> torch.Tensor:
        """Ones with probability p, else zeros."""
        return self._tensor(self.numpy.random(tuple(shape)) < p, dtype, False)

    def permutation(self, n: int) -> torch.Tensor:
        """0 to n − 1 in random order."""
        return self._tensor(self.numpy.permutation(n), "int64", False)

    def integer(self, low: int, high: int) -> int:
        """One Python int in [low, high)."""
        return int(self.numpy.integers(low, high))

    def choice(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[self.integer(0, len(options))]

    def strided(self, shape: Sequence[int], *, dtype: str = "float32", requires_grad: bool = False) -> torch.Tensor:
        """Standard normal numbers in a non-contiguous tensor: a transposed and sliced view of a larger one."""
        wide = [*reversed(shape)]
        wide[0] = 2 * wide[0] + 1
        view = self.normal(wide, dtype=dtype)[::2][: shape[-1]].permute(*reversed(range(len(shape))))
        return view.requires_grad_(requires_grad)

    def generator(self, seed: int | None = None) -> torch.Generator:
        """A fresh torch.Generator on the CPU."""
        return torch.Generator().manual_seed(self.seed() if seed is None else seed)

    def seed(self) -> int:
        """A fresh seed."""
        return self.integer(1, 2**31)

    def fill_(self, module: Any, scale: float = 0.5) -> Any:
        """Random values in every parameter and floating-point buffer (positive in running_var); returns the module."""
        with torch.no_grad():
            for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
                if tensor.is_floating_point():
                    values = self.normal(tensor.shape) * scale
                    tensor.copy_(values.abs() + 0.5 if name.endswith("running_var") else values)
        return module

    def _tensor(self, values: Any, dtype: str, requires_grad: bool) -> torch.Tensor:
        return torch.as_tensor(values).to(self.device, dtype_of(dtype)).requires_grad_(requires_grad)


def shared_rng(request: pytest.FixtureRequest) -> Rng:
    """The source of the inputs of a fixture that several checks share; the same seed gives the same inputs.

    It differs from fixture to fixture, so that each has numbers of its own.
    """
    from torch_kata.plugin import SEED  # which imports this module

    device = torch.device(request.config.getoption("device"))
    return Rng([request.config.stash[SEED], zlib.crc32(str(request.fixturename).encode())], device)


def assert_distribution(samples: torch.Tensor, cdf: Callable[[Any], Any], what: str = "樣本") -> None:
    """Kolmogorov-Smirnov: the samples follow the law whose cumulative distribution function (NumPy) is `cdf`.

    With 20,000 samples it finds a standard deviation that is 10% off 99 times in 100, with 10,000 a mean that is 0.1
    deviations off, with 3,000 a uniform law for a normal one of the same deviation.
    """
    values = np.sort(_samples(samples, what).cpu().numpy())
    p = _kolmogorov_smirnov(values, cdf)
    if not p >= FALSE_ALARM:
        with np.errstate(invalid="ignore"):
            figures = f"平均 {values.mean():.4g}、標準差 {values.std():.4g}、範圍 [{values[0]:.4g}, {values[-1]:.4g}]"
        fail(f"{what}不服從應有的分布：{figures}（KS 檢定 p = {p:.1e}）", samples)


def assert_frequencies(counts: Sequence[int], probabilities: Sequence[float] | None = None, what: str = "次數") -> None:
    """Chi-square and likelihood ratio: the counts follow the probabilities (all equal if not given).

    Needs about 5 expected in each cell. There Pearson's statistic alone would refuse a rare cell 65 times too often,
    the likelihood ratio alone many cells a few times: both must refuse.
    """
    from scipy.special import chdtrc, xlogy

    counts = np.asarray([int(count) for count in counts], dtype=float)
    share = np.full(len(counts), 1 / len(counts)) if probabilities is None else np.asarray(probabilities, dtype=float)
    impossible = share == 0
    if counts[impossible].any():
        fail(f"{what}：不該出現的第 {int(np.flatnonzero(impossible & (counts > 0))[0])} 種出現了", counts.tolist())
    if not counts.sum():
        fail(f"{what}：一次也沒有", counts.tolist())
    share_possible, found = share[~impossible], counts[~impossible]
    cells, expected = len(found), share_possible * counts.sum()
    pearson = ((found - expected) ** 2 / expected).sum()
    # with Williams' correction (1976)
    ratio = 2 * xlogy(found, found / expected).sum()
    ratio /= 1 + ((1 / share_possible).sum() - 1) / (6 * counts.sum() * max(cells - 1, 1))
    p = float(max(chdtrc(cells - 1, pearson), chdtrc(cells - 1, ratio))) if cells > 1 else 1.0
    if not p >= FALSE_ALARM:
        worst = int(np.argmax(np.abs(counts - share * counts.sum()) / np.sqrt(share * counts.sum() + 1e-12)))
        fail(
            f"{what}的分布不對：第 {worst} 種出現 {int(counts[worst])} 次，"
            f"應約 {share[worst] * counts.sum():.0f} 次（卡方檢定 p = {p:.1e}）",
            counts.tolist(),
        )


def assert_rate(successes: int, trials: int, p: float, what: str = "比例") -> None:
    """Binomial: `successes` of `trials` agree with the probability `p`."""
    from scipy.special import bdtr, bdtrc

    successes, trials = int(successes), int(trials)
    if not trials:
        fail(f"{what}：一次也沒有", 0)
    at_most = float(bdtr(successes, trials, p))
    at_least = float(bdtrc(successes - 1, trials, p)) if successes else 1.0
    if not 2 * min(at_most, at_least) >= FALSE_ALARM:
        fail(f"{what}應為 {p:g}，{trials} 次中有 {successes} 次（{successes / trials:.3f}）", successes / trials)


def assert_mean(samples: torch.Tensor, mean: float, std: float, what: str = "平均") -> None:
    """|z| < 4.89: the mean of independent samples of known standard deviation `std` is `mean`."""
    values = _samples(samples, what)
    z = (float(values.mean()) - mean) / (std / math.sqrt(len(values)))
    if not abs(z) < 4.89:
        fail(f"{what}應為 {mean:.4g}，{len(values)} 個樣本得到 {float(values.mean()):.4g}（z = {z:.1f}）", samples)


def _samples(samples: Any, what: str) -> torch.Tensor:
    """The samples as one row of float64."""
    values = plain_tensor(samples, what).detach().double().reshape(-1)
    if not len(values):
        fail(f"{what}：一個樣本也沒有", samples)
    if missing := int(values.isnan().sum()):
        fail(f"{what}的 {len(values)} 個樣本中有 {missing} 個 NaN", samples)
    return values


def _kolmogorov_smirnov(values: Any, cdf: Callable[[Any], Any]) -> float:
    """The p-value of sorted `values`, asymptotic with Stephens' correction (1970) for small samples.

    scipy.special imports in a tenth of the time that scipy.stats takes.
    """
    from scipy.special import kolmogorov

    n, law = len(values), np.asarray(cdf(values))
    steps = np.arange(n + 1) / n
    distance = max(float((steps[1:] - law).max()), float((law - steps[:-1]).max()))
    if not math.isfinite(distance):
        return 0.0
    return float(kolmogorov(distance * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))))
