"""Intervals by two-way clustering over users and items.

Users share items: on a cold test where ten tracks hold a fifth of the pairs, resampling users alone makes every
difference look certain. The variance over users and the variance over items are added, and the variance of single
pairs, which is part of each, is subtracted once (Cameron, Gelbach & Miller 2011).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.types import Array, Float, Int

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; the limits are NaN with fewer than two users or effective items."""

    value: float
    low: float
    high: float


def clipped(value: float, half_width: float, lowest: float, highest: float) -> Interval:
    """value ± half_width, its limits clipped to the range of the metric: for display, after every comparison."""
    low, high = (min(max(limit, lowest), highest) for limit in (value - half_width, value + half_width))
    return Interval(value, low, high) if math.isfinite(half_width) else Interval(value, math.nan, math.nan)


def crossed(
    gains: Float[Array, "users k"], items: Int[Array, "users k"], users: Int[Array, "users"], relevant: Interactions
) -> Interval:
    """The mean over users of the sums of their `gains`, with an interval over users and items.

    `gains[u, j]` is the contribution of item `items[u, j]` (-1: no item) to the value of user row `users[u]`; it is 0
    unless the item is among the user's `relevant` items. For the difference of two systems, pass their gains side by
    side, the second negated. A pair's residual is its gain minus its share, 1 / R_u, of the mean. Student's t has the
    smaller number of users and effective items (1 / sum of squares of the items' shares) less 1 degrees of freedom.
    """
    values, n = gains.sum(1), len(users)
    if not n:
        return over_users(values)
    places, held = relevant.of_users(users)
    shares = 1 / relevant.user_items[users][places] / n
    gained = _of_pairs(gains, items, places * relevant.n_items + held, relevant.n_items)
    residuals = gained / n - shares * values.mean()
    of_items, share = (np.bincount(held, weights=part, minlength=relevant.n_items) for part in (residuals, shares))
    effective = 1 / float((share**2).sum())
    if effective < 2:
        return _student(values, 0.0, effective)
    variance = ((of_items / (1 - share)) ** 2).sum() - (residuals**2).sum()
    return _student(values, max(float(variance), 0.0), min(float(n), effective))


def over_users(values: Float[Array, "users"]) -> Interval:
    """The mean of the defined values with an interval over users alone."""
    defined = values[~np.isnan(values)]
    return _student(defined, 0.0, float(len(defined)))


def _of_pairs(
    gains: Float[Array, "users k"], items: Int[Array, "users k"], pairs: Int[Array, "pairs"], n_items: int
) -> Float[Array, "pairs"]:
    """Sum of the gains of each relevant pair; `pairs` are their places in a (users, n_items) table, ascending."""
    rows, columns = np.nonzero(gains)
    places = np.searchsorted(pairs, rows * n_items + items[rows, columns])
    return np.bincount(places, weights=gains[rows, columns], minlength=len(pairs)).astype(np.float64)  # int where empty


def _student(values: Float[Array, "n"], variance_of_items: float, clusters: float) -> Interval:
    """A t interval around the mean of `values`, with the variance over items added to the variance over users."""
    from scipy.stats import t

    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    value = float(values.mean())
    if clusters < 2:
        return Interval(value, np.nan, np.nan)
    variance = float(values.var(ddof=1)) / len(values) + variance_of_items
    half_width = float(t.ppf((1 + LEVEL) / 2, clusters - 1)) * math.sqrt(variance)
    return Interval(value, value - half_width, value + half_width)
