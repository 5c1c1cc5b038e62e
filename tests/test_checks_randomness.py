"""Statistical tests: how often they refuse right samples, what wrong ones they find, and what a failure says."""

import math

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn

from torch_kata.checks import Rng, assert_distribution, assert_frequencies, assert_mean, assert_rate, randomness
from torch_kata.checks.record import CheckFailed


@pytest.fixture
def source():
    return np.random.default_rng(20261122)


def refusal(function, *arguments, **keywords):
    """The message of the failure that a call must end with."""
    with pytest.raises(CheckFailed) as caught:
        function(*arguments, **keywords)
    return str(caught.value)


def says(message, *parts):
    """Whether all parts stand in the message, which is one line."""
    assert "\n" not in message
    for part in parts:
        assert str(part) in message, (part, message)


def refused(function, *arguments):
    try:
        function(*arguments)
    except CheckFailed:
        return True
    return False


def share_refused(function, draw, times, level, monkeypatch):
    """How often a test at another level refuses what `draw` gives."""
    monkeypatch.setattr(randomness, "FALSE_ALARM", level)
    return sum(refused(function, *draw()) for _ in range(times)) / times


def normal(values):
    return special.ndtr(values)


# ── false alarms: 2,000 right samples at the level 1e-3 are refused 2 times, and more than 11 times once in 1e5 ──


@pytest.mark.parametrize("n", [5, 30, 400])
def test_false_alarms_of_the_distribution(source, monkeypatch, n):
    draw = lambda: (torch.from_numpy(source.standard_normal(n)), normal)
    assert share_refused(assert_distribution, draw, 2000, 1e-3, monkeypatch) <= 11 / 2000
    draw = lambda: (torch.from_numpy(source.random(n)), lambda x: x)
    assert 0.02 <= share_refused(assert_distribution, draw, 1000, 0.05, monkeypatch) <= 0.08


@pytest.mark.parametrize(
    "shares, n", [([1 / 6] * 6, 30), ([1 / 24] * 24, 120), ([0.02, 0.98], 250), ([0.05, 0.15, 0.8], 100)]
)
def test_false_alarms_of_the_frequencies(source, monkeypatch, shares, n):
    draw = lambda: (source.multinomial(n, shares), shares)
    assert share_refused(assert_frequencies, draw, 2000, 1e-3, monkeypatch) <= 11 / 2000
    assert share_refused(assert_frequencies, draw, 1000, 0.05, monkeypatch) <= 0.09


@pytest.mark.parametrize("n, p", [(5, 0.5), (200, 0.03), (10_000, 0.5)])
def test_false_alarms_of_the_rate(source, monkeypatch, n, p):
    draw = lambda: (source.binomial(n, p), n, p)
    assert share_refused(assert_rate, draw, 2000, 1e-3, monkeypatch) <= 11 / 2000


def test_false_alarms_of_the_mean(source):
    """|z| of 2,000 right samples stays below 4.89, and is spread as a normal law's."""
    zs = []
    for _ in range(2000):
        values = torch.from_numpy(source.standard_normal(50)) * 3 + 1
        assert_mean(values, 1.0, 3.0)
        zs.append((float(values.mean()) - 1) / (3 / math.sqrt(50)))
    assert 2 * special.ndtr(-4.89) == pytest.approx(1e-6, rel=0.02)
    assert_distribution(torch.tensor(zs), normal)


def test_exact_false_alarm_of_two_cells():
    """At the level 1e-6, over all counts that can occur; Pearson's statistic alone gives 6.5e-5 for the first."""
    for p, n in [(0.005, 1000), (0.05, 100), (0.2, 500), (0.5, 200)]:
        alarm = 0.0
        for found in range(n + 1):
            weight = math.exp(
                special.gammaln(n + 1)
                - special.gammaln(found + 1)
                - special.gammaln(n - found + 1)
                + found * math.log(p)
                + (n - found) * math.log(1 - p)
            )
            if weight > 1e-15 and refused(assert_frequencies, [found, n - found], [p, 1 - p]):
                alarm += weight
        assert 1e-7 < alarm < 1.3e-6, (p, n, alarm)


# ── against scipy.stats ──


@pytest.mark.parametrize("n", [20, 100, 2000])
def test_kolmogorov_smirnov_is_scipys(source, n):
    from scipy import stats

    for shift in (0.0, 3 / math.sqrt(n), 4.5 / math.sqrt(n)):
        values = np.sort(source.standard_normal(n) + shift)
        expected = stats.kstest(values, "norm").pvalue
        found = randomness._kolmogorov_smirnov(values, normal)
        assert found == pytest.approx(expected, rel=0.3, abs=1e-12), shift


def test_frequencies_and_rates_are_scipys(source, monkeypatch):
    from scipy import stats

    shares = np.array([0.1, 0.2, 0.3, 0.4])
    for counts in ([480, 1010, 1530, 1980], [560, 960, 1540, 1940]):
        p = stats.chisquare(counts, shares * 5000).pvalue
        ratio = stats.power_divergence(counts, shares * 5000, lambda_="log-likelihood").pvalue
        top = max(p, ratio)
        monkeypatch.setattr(randomness, "FALSE_ALARM", top * 0.99)
        assert_frequencies(counts, shares)
        monkeypatch.setattr(randomness, "FALSE_ALARM", top * 1.01)
        refusal(assert_frequencies, counts, shares)
    for successes in (0, 3, 12, 25, 40):
        p = 2 * min(stats.binom.cdf(successes, 40, 0.3), stats.binom.sf(successes - 1, 40, 0.3))
        monkeypatch.setattr(randomness, "FALSE_ALARM", p * 0.999)
        assert_rate(successes, 40, 0.3)
        monkeypatch.setattr(randomness, "FALSE_ALARM", p * 1.001)
        refusal(assert_rate, successes, 40, 0.3)


# ── power ──


@pytest.mark.parametrize(
    "draw",
    [
        lambda source: source.standard_normal(20_000) * 1.1,
        lambda source: source.standard_normal(20_000) * 0.9,
        lambda source: source.standard_normal(10_000) + 0.1,
        lambda source: source.uniform(-math.sqrt(3), math.sqrt(3), 3_000),
        lambda source: np.abs(source.standard_normal(200)),
        lambda source: np.clip(source.standard_normal(20_000), -1.5, 1.5),
        lambda source: source.standard_normal(20_000).round(),
        lambda source: np.repeat(source.standard_normal(20), 1000),
        lambda source: np.zeros(50),
        lambda source: np.full(50, math.inf),
    ],
    ids=["wide", "narrow", "shifted", "uniform", "positive", "clipped", "rounded", "repeated", "constant", "infinite"],
)
def test_wrong_distributions_are_found(source, draw):
    for _ in range(5):
        message = refusal(assert_distribution, torch.from_numpy(draw(source)), normal, what="雜訊")
        says(message, "雜訊不服從應有的分布", "平均", "標準差", "範圍", "p = ")


def test_figures_of_a_wrong_distribution():
    message = refusal(assert_distribution, torch.tensor([2.0, 4.0]).repeat(500), normal)
    says(message, "平均 3", "標準差 1", "範圍 [2, 4]")


def test_wrong_frequencies_are_found(source):
    biased = source.multinomial(6000, [0.12, 0.176, 0.176, 0.176, 0.176, 0.176])
    says(refusal(assert_frequencies, biased), "第 0 種", "應約 1000 次", f"出現 {biased[0]} 次")
    says(refusal(assert_frequencies, [100, 0, 100], what="標籤"), "標籤的分布不對：第 1 種出現 0 次")
    says(refusal(assert_frequencies, [0, 0, 300]), "第 2 種出現 300 次，應約 100 次")
    says(refusal(assert_frequencies, [50, 49, 1], [0.5, 0.5, 0]), "不該出現的第 2 種出現了")
    says(refusal(assert_frequencies, [0, 0]), "一次也沒有")
    assert_frequencies([50, 50, 0], [0.5, 0.5, 0])
    assert_frequencies([7])
    assert_frequencies(torch.tensor([48, 52]), torch.tensor([0.5, 0.5]))


def test_wrong_rates_are_found(source):
    for _ in range(20):
        says(refusal(assert_rate, source.binomial(10_000, 0.45), 10_000, 0.5), "應為 0.5", "10000 次中有", "0.4")
    says(refusal(assert_rate, 3, 100, 0.5, "保留率"), "保留率應為 0.5，100 次中有 3 次（0.030）")
    says(refusal(assert_rate, 1, 100, 0.0), "應為 0，")
    says(refusal(assert_rate, 99, 100, 1.0), "應為 1，")
    says(refusal(assert_rate, 101, 100, 0.5), "101")
    says(refusal(assert_rate, 0, 0, 0.5), "一次也沒有")
    assert_rate(0, 100, 0.0)
    assert_rate(100, 100, 1.0)
    assert_rate(torch.tensor(52), 100, 0.5)


def test_wrong_means_are_found(source):
    values = torch.from_numpy(source.standard_normal(10_000)).float()
    assert_mean(values, 0.0, 1.0)
    says(refusal(assert_mean, values + 0.1, 0.0, 1.0, "雜訊的平均"), "雜訊的平均應為 0", "10000 個樣本", "z = ")


@pytest.mark.parametrize("test", [lambda x: assert_distribution(x, normal), lambda x: assert_mean(x, 0.0, 1.0)])
def test_no_samples_at_all(test):
    values = torch.zeros(4)
    values[2] = math.nan
    says(refusal(test, values), "4 個樣本中有 1 個 NaN")
    says(refusal(test, torch.empty(0)), "一個樣本也沒有")
    says(refusal(test, [0.0, 1.0]), "應為 torch.Tensor，得到 list")


def test_samples_of_any_shape_and_dtype(source):
    values = torch.from_numpy(source.standard_normal(400)).float()
    for samples in (values.reshape(20, 20).t(), values.clone().requires_grad_(), values.double()):
        assert_distribution(samples, normal)
        assert_mean(samples, 0.0, 1.0)


# ── Rng ──


def test_same_seed_same_inputs():
    one, two, other = Rng([1, 2], "cpu"), Rng([1, 2], "cpu"), Rng([1, 3], "cpu")
    draws = [
        lambda rng: rng.normal((3, 2)),
        lambda rng: rng.uniform((3,), -1, 2),
        lambda rng: rng.integers(0, 2**40, (3,)),
        lambda rng: rng.bernoulli(0.5, (64,)),
        lambda rng: rng.permutation(30),
        lambda rng: rng.strided((3, 4)),
        lambda rng: torch.tensor([rng.integer(0, 2**40), rng.seed()]),
        lambda rng: torch.rand(3, generator=rng.generator()),
    ]
    for draw in draws:
        first = draw(one)
        assert torch.equal(first, draw(two)) and not torch.equal(first, draw(other))


def test_laws_of_the_inputs():
    rng = Rng([1], "cpu")
    assert_distribution(rng.normal((3000,)), normal)
    assert_distribution(rng.uniform((3000,), -1, 3), lambda x: (x + 1) / 4)
    assert_frequencies(torch.bincount(rng.integers(2, 5, (900,)))[2:])
    assert_rate(rng.bernoulli(0.2, (1000,)).sum(), 1000, 0.2)
    assert sorted(rng.permutation(9).tolist()) == list(range(9))
    assert {rng.choice("abc") for _ in range(100)} == set("abc")


def test_kinds_of_inputs():
    rng = Rng([1], "cpu")
    x = rng.normal((2, 3), dtype="bfloat16", requires_grad=True)
    assert x.dtype == torch.bfloat16 and x.requires_grad and x.is_leaf
    assert rng.normal(()).shape == () and rng.integers(0, 5).shape == () and rng.normal((0, 2)).shape == (0, 2)
    assert rng.integers(0, 5, (2,), dtype="int32").dtype == torch.int32
    for shape in [(5,), (3, 4), (2, 3, 4)]:
        view = rng.strided(shape, requires_grad=True)
        assert view.shape == shape and not view.is_contiguous() and view.is_leaf and view.requires_grad
    module = rng.fill_(nn.BatchNorm1d(40))
    assert (module.running_var > 0).all() and module.weight.std() > 0.2 and module.num_batches_tracked == 0
