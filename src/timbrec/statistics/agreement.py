"""Agreement of two rankings of the same encoders: rank correlations, exact null levels, and intervals.

Both sides are estimates with known covariances. The model is normal: true values of the two sides are drawn from a
bivariate normal distribution with correlation r, and estimates scatter around them. The spread of the true values is
the observed one less that of the noise. There are two populations, and an interval for each:

- these encoders: their true values are drawn from the posterior distribution, with a uniform prior of tau; the interval
  holds the middle 95 % of their rank correlations. Noise no longer makes correlations look smaller than they are.
- encoders like these: the interval holds every population value under which the observed tau is not in a tail of 2.5 %
  (mid-p), by simulation with this number of encoders and this noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations
from math import factorial

import numpy as np

from timbrec.statistics.intervals import Interval
from timbrec.types import Array, Float

LEAST = 3  # encoders: with two, every ranking agrees or is reversed
LEVEL, DRAWS = 0.95, 4_000
ENUMERATED = 8  # encoders up to which all orders are tried for tied values; above, as many random orders
_TAUS = np.linspace(-1, 1, 41)  # population values that are tried
_LEAST_SIGNAL = 0.1  # smallest variance of true values, in variances of the noise


@dataclass(frozen=True)
class Agreement:
    """The rank correlations of two sides over n encoders.

    `tau` is Kendall's tau-b and `rho` Spearman's, each with the 95 % interval for these encoders; `like` is the
    interval of tau for encoders like these. `p` is the two-sided probability of a |tau| at least as large if the two
    sides have nothing to do with each other.
    """

    n: int
    tau: Interval
    rho: Interval
    like: Interval
    p: float


def agreement(
    first: Float[Array, "n"], first_noise: Float[Array, "n n"], second: Float[Array, "n"],
    second_noise: Float[Array, "n n"], seed: int = 0, draws: int = DRAWS,
) -> Agreement:  # fmt: skip
    """The agreement of the values of two sides; the matrices are the covariances of the values.

    Needs three encoders. NaN where all values of a side are equal.
    """
    tau, rho = kendall(first, second), spearman(first, second)
    if np.isnan(tau):
        undefined = Interval(float("nan"), float("nan"), float("nan"))
        return Agreement(len(first), undefined, undefined, undefined, float("nan"))
    sides = _Side.of(first, first_noise), _Side.of(second, second_noise)
    rng = np.random.default_rng(seed)
    true = _posterior(*sides, rng, draws)
    own = [_middle(values) for values in (_taus(*true), _rhos(*true))]
    low, high = _like(tau, *sides, rng, draws)
    return Agreement(
        len(first), Interval(tau, *own[0]), Interval(rho, *own[1]), Interval(tau, low, high), p_value(first, second)
    )


def kendall(first: Float[Array, "n"], second: Float[Array, "n"]) -> float:
    """Kendall's tau-b; NaN where all values of a side are equal."""
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)


def spearman(first: Float[Array, "n"], second: Float[Array, "n"]) -> float:
    """Spearman's rank correlation, ties with their mean rank; NaN where all values of a side are equal."""
    if not (np.ptp(first) and np.ptp(second)):
        return float("nan")
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


@cache
def null_counts(n: int) -> tuple[int, ...]:
    """The number of orders of n encoders with 0, 1, 2, ... discordant pairs (the Mahonian numbers)."""
    counts = [1]
    for size in range(2, n + 1):
        wider = [0] * (len(counts) + size - 1)
        for shift in range(size):
            for place, count in enumerate(counts):
                wider[place + shift] += count
        counts = wider
    return tuple(counts)


def critical_tau(n: int, level: float = 1 - LEVEL) -> float | None:
    """The smallest |tau| of n encoders without ties that is significant at a two-sided level; None if there is none.

    Exact: of all n! orders, at most a share of `level` has a |tau| at least as large.
    """
    counts, pairs = null_counts(n), n * (n - 1) // 2
    smallest: float | None = None
    tail = 0
    for discordant in range((pairs + 1) // 2):  # from tau = 1 down to just above 0
        tail += 2 * counts[discordant]
        if tail > level * factorial(n):
            break
        smallest = 1 - 2 * discordant / pairs
    return smallest


def p_value(first: Float[Array, "n"], second: Float[Array, "n"], seed: int = 0) -> float:
    """The two-sided p value of tau-b under all orders; with ties among many encoders, under random orders."""
    n, observed = len(first), abs(kendall(first, second))
    if len(np.unique(first)) == n and len(np.unique(second)) == n:
        pairs = n * (n - 1) // 2
        least = round((1 - observed) / 2 * pairs)  # discordant pairs
        tail = sum(null_counts(n)[: least + 1])
        return min(1.0, 2 * tail / factorial(n))
    orders = (
        np.array(list(permutations(range(n))))
        if n <= ENUMERATED
        else np.random.default_rng(seed).permuted(np.tile(np.arange(n), (20_000, 1)), axis=1)
    )
    low, high = np.triu_indices(n, 1)
    signs = [np.sign(side[low] - side[high]) for side in (first, second)]
    scale = np.sqrt(np.abs(signs[0]).sum() * np.abs(signs[1]).sum())
    shuffled = np.sign(second[orders][:, low] - second[orders][:, high])
    return float((np.abs(shuffled @ signs[0]) / scale >= observed - 1e-9).mean())


def holm(p: Float[Array, "tests"]) -> Float[Array, "tests"]:
    """P values adjusted for their number (Holm 1979); NaN stays NaN and does not count."""
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int(np.isfinite(p).sum())]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def partial(first: Float[Array, "n"], second: Float[Array, "n"], given: Float[Array, "n covariates"]) -> float | None:
    """Spearman's partial correlation of the two sides, given the covariates.

    The ranks of both sides are regressed on those of the covariates. None with fewer than three encoders more than
    covariates, and where a side has nothing left.
    """
    varying = given[:, [np.ptp(column) > 0 for column in given.T]]
    n = len(first)
    if n < varying.shape[1] + LEAST:
        return None
    design = np.column_stack([np.ones(n), *(_ranks(column) for column in varying.T)])
    sides = np.stack([_ranks(first), _ranks(second)], 1)
    left = sides - design @ np.linalg.lstsq(design, sides, rcond=None)[0]
    sizes = (left**2).sum(0)
    if (sizes < 1e-9 * n).any():
        return None
    return float(left[:, 0] @ left[:, 1] / np.sqrt(sizes.prod()))


@dataclass(frozen=True, eq=False)
class _Side:
    """Centred values of a side, the covariance of their noise, and the variance of the true values."""

    values: Float[Array, "n"]
    noise: Float[Array, "n n"]
    signal: float

    @classmethod
    def of(cls, values: Float[Array, "n"], noise: Float[Array, "n n"]) -> _Side:
        n = len(values)
        centre = np.eye(n) - 1 / n
        centred = centre @ noise @ centre  # noise that all encoders share moves no rank
        noise_size = float(np.trace(centred)) / (n - 1)
        observed = float((centre @ values) @ (centre @ values)) / (n - 1)
        signal = max(observed - noise_size, _LEAST_SIGNAL * noise_size, 1e-12 * observed)
        return cls(centre @ values, (centred + centred.T) / 2, signal)


def _posterior(
    first: _Side, second: _Side, rng: np.random.Generator, draws: int
) -> tuple[Float[Array, "draws n"], Float[Array, "draws n"]]:
    """Draws of the true values of both sides, given the estimates; the correlation has a uniform prior of tau."""
    basis = _contrasts(len(first.values))  # only differences between encoders matter
    n = len(basis)
    observed = np.concatenate([basis @ first.values, basis @ second.values])
    noise = np.zeros((2 * n, 2 * n))
    noise[:n, :n], noise[n:, n:] = (basis @ side.noise @ basis.T for side in (first, second))
    noise += 1e-9 * np.diag(np.repeat([first.signal, second.signal], n))
    likelihoods, means, spreads = [], [], []
    for correlation in np.sin(np.pi / 2 * _TAUS):
        prior = _prior(first.signal, second.signal, correlation, n)
        inverse = np.linalg.inv(prior + noise)
        fitted = prior @ inverse
        likelihoods.append(-(observed @ inverse @ observed + np.linalg.slogdet(prior + noise)[1]) / 2)
        means.append(fitted @ observed)
        spreads.append(prior - fitted @ prior)
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    chosen = np.sort(rng.choice(len(_TAUS), draws, p=weights / weights.sum()))
    true = np.empty((draws, 2 * n))
    for number in np.unique(chosen):
        rows = chosen == number
        true[rows] = means[number] + rng.standard_normal((int(rows.sum()), 2 * n)) @ _root(spreads[number]).T
    return true[:, :n] @ basis, true[:, n:] @ basis


def _contrasts(n: int) -> Float[Array, "k n"]:
    """n - 1 orthonormal rows that add up to 0."""
    return np.asarray(np.linalg.svd(np.eye(n) - 1 / n)[2][: n - 1])


def _prior(first: float, second: float, correlation: float, n: int) -> Float[Array, "m m"]:
    shared = correlation * np.sqrt(first * second)
    return np.asarray(np.kron(np.array([[first, shared], [shared, second]]), np.eye(n)))


def _like(tau: float, first: _Side, second: _Side, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """The population values of tau under which the observed one is not in a tail."""
    n = len(first.values)
    base, other = rng.standard_normal((2, draws, n))
    noises = [rng.standard_normal((draws, n)) @ _root(side.noise).T / np.sqrt(side.signal) for side in (first, second)]
    kept = []
    for population in _TAUS:
        correlation = np.sin(np.pi / 2 * population)
        drawn = correlation * base + np.sqrt(1 - correlation**2) * other
        taus = _taus(base + noises[0], drawn + noises[1])
        below, equal = (taus < tau - 1e-9).mean(), (np.abs(taus - tau) <= 1e-9).mean()
        if (1 - LEVEL) / 2 < below + equal / 2 < (1 + LEVEL) / 2:
            kept.append(population)
    if not kept:
        return tau, tau
    step = float(_TAUS[1] - _TAUS[0])  # a value between two that are tried belongs to the nearer one
    return max(float(min(kept)) - step / 2, -1.0), min(float(max(kept)) + step / 2, 1.0)


def _taus(first: Float[Array, "draws n"], second: Float[Array, "draws n"]) -> Float[Array, "draws"]:
    low, high = np.triu_indices(first.shape[1], 1)
    agree = (first[:, low] > first[:, high]) == (second[:, low] > second[:, high])
    return np.asarray(2 * agree.mean(1) - 1)


def _rhos(first: Float[Array, "draws n"], second: Float[Array, "draws n"]) -> Float[Array, "draws"]:
    n = first.shape[1]
    gaps = first.argsort(1).argsort(1) - second.argsort(1).argsort(1)
    return np.asarray(1 - 6 * (gaps**2).sum(1) / (n * (n**2 - 1)))


def _middle(values: Float[Array, "draws"]) -> tuple[float, float]:
    """The limits of the middle 95 %: the smallest and the largest drawn value that is in no tail.

    Half of the draws of a value count as below it. Rank correlations of few encoders have few values, and limits that
    enclose at least 95 % of the draws would enclose far more.
    """
    values, counts = np.unique(values.round(9), return_counts=True)
    below = (np.cumsum(counts) - counts / 2) / counts.sum()
    kept = values[(below > (1 - LEVEL) / 2) & (below < (1 + LEVEL) / 2)]
    return float(kept.min()), float(kept.max())


def _root(covariance: Float[Array, "n n"]) -> Float[Array, "n n"]:
    sizes, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(directions * np.sqrt(sizes.clip(min=0)))


def _ranks(values: Float[Array, "n"]) -> Float[Array, "n"]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(values))


def covariance(influences: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """The covariance of n values from the influences of m independent examples (tracks, or artists) on each."""
    m = len(influences)
    return np.asarray(influences.T @ influences * m / max(m - 1, 1))
