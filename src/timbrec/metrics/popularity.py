"""Popularity bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome
from timbrec.types import Array, Float


@dataclass(frozen=True)
class MeanPopularity(Metric):
    """Mean popularity percentile of the first k items: 0.5 is a typical track, near 1 means hits only.

    An item's percentile is the share of train items with fewer train users, ties counted half; cold items are left
    out, and a list of cold items alone is NaN.
    """

    name: ClassVar[str] = "popularity"

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Mean percentile per user, in [0, 1]."""
        items = self.items(outcome)
        known = (items >= 0) & ~outcome.cold[items]
        total, count = (outcome.popularity[items] * known).sum(1), known.sum(1)
        return np.divide(total, count, out=np.full(len(items), np.nan), where=count > 0)
