"""The amount of data that would show a difference as large as the one seen.

The variance over users falls with the number of users, that over items with the number of items, and that over seeds
with neither. A difference is shown with a probability of 80 % where it is the sum of the critical value and 0.84 times
its standard error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite

import numpy as np

from timbrec.statistics.comparison import Comparison
from timbrec.statistics.family import POWER


@dataclass(frozen=True)
class Needed:
    """Factors, at least 1, by which a test must grow to show `difference` with a probability of 80 %.

    `users` holds if users alone grow, `items` if items alone grow, `together` if both do; infinite where no number is
    enough. `detectable` is the difference that this test would show.
    """

    difference: float
    detectable: float
    users: float
    items: float
    together: float


def needed(comparison: Comparison, first: int, second: int) -> Needed | None:
    """The data that would show the difference of two lines; None for equal lines and for tests that are too small.

    The critical value is that of all pairs of the comparison's lines.
    """
    from scipy.stats import norm

    if comparison.reason is not None or first == second:
        return None
    pair = comparison.place_of(first, second)
    family = comparison.pairs
    difference, factor = abs(float(family.values[pair])), float(family.simultaneous[pair] + norm.ppf(POWER))
    contrast = np.eye(len(comparison.values))[first] - np.eye(len(comparison.values))[second]
    parts = comparison.spread.parts(contrast)
    if difference == 0 or not isfinite(factor):
        return None
    variance = (difference / factor) ** 2
    return Needed(
        difference, factor * float(family.standard_errors[pair]),
        users=_growth(parts.users, variance - parts.items - parts.seeds),
        items=_growth(parts.items, variance - parts.users - parts.seeds),
        together=_growth(parts.users + parts.items, variance - parts.seeds),
    )  # fmt: skip


def _growth(variance: float, allowed: float) -> float:
    """How often `variance` must be divided to be `allowed`."""
    return max(variance / allowed, 1.0) if allowed > 0 else inf
