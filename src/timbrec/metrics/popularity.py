"""Popularity bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome
from timbrec.types import Array, Float


@dataclass(frozen=True)
class MeanPopularity(Metric):
    """Mean popularity percentile of the first k items: 0.5 is a typical track, values near 1 are best-sellers only.

    An item's percentile is the share of train items with fewer train users, ties counted half. Cold items are left
    out; a list that holds only cold items is NaN.
    """

    name: ClassVar[str] = "popularity"
    summary: ClassVar[str] = "Mean popularity percentile of the first k tracks; 0.5 is a typical track."

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Mean percentile of each user's list, in [0, 1]; NaN where no train item is listed."""
        items = self.items(outcome)
        known = (items >= 0) & ~outcome.cold[items]
        total, count = (outcome.popularity[items] * known).sum(1), known.sum(1)
        return np.divide(total, count, out=np.full(len(items), np.nan), where=count > 0)
