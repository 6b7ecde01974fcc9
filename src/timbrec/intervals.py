"""Intervals that take both users and items into account.

Users share items: on a cold test where ten tracks hold a fifth of the pairs, resampling users alone makes every
difference look sure. Both kinds of variance are added here, each from its influence function (the first-order part
of Owen's pigeonhole bootstrap, 2007, which is mildly conservative as this is), so an interval costs one pass over the
lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrec.interactions import Interactions
from timbrec.types import Array, Float, Int

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval; NaN limits where fewer than two users or items were there."""

    value: float
    low: float
    high: float


def crossed(
    gains: Float[Array, "users k"], items: Int[Array, "users k"], users: Int[Array, "users"], relevant: Interactions
) -> Interval:
    """The mean over users of the sums of their `gains`, with an interval over users and items.

    `gains[u, j]` is what item `items[u, j]` (-1: none) added to the value of user row `users[u]`; the difference of two
    systems is both their gains beside each other, one negated. Item i's influence is what it gained minus what its
    share of the relevant pairs would have: sum over u of (c_ui - value_u [i relevant to u] / R_u). Student's t with
    the smaller number of users and relevant items.
    """
    values = gains.sum(1)
    n = len(values)
    places, held = relevant.of_users(users)
    expected = (values / np.maximum(relevant.user_items[users], 1))[places]
    gained = np.bincount(items[items >= 0], weights=gains[items >= 0], minlength=relevant.n_items)
    by_item = gained - np.bincount(held, weights=expected, minlength=relevant.n_items)
    return _student(values, float((by_item**2).sum()) / max(n, 1) ** 2, min(n, len(np.unique(held))))


def over_users(values: Float[Array, "users"]) -> Interval:
    """The mean of the defined values with an interval over users alone."""
    defined = values[~np.isnan(values)]
    return _student(defined, 0.0, len(defined))


def _student(values: Float[Array, "n"], variance_of_items: float, degrees: int) -> Interval:
    """A t interval around the mean of `values`, the variance over users added to that over items."""
    from scipy.stats import t

    if not len(values):
        return Interval(np.nan, np.nan, np.nan)
    value = float(values.mean())
    if degrees < 2:
        return Interval(value, np.nan, np.nan)
    variance = float(values.var(ddof=1)) / len(values) + variance_of_items
    half = float(t.ppf((1 + LEVEL) / 2, degrees - 1)) * np.sqrt(variance)
    return Interval(value, value - half, value + half)
