"""Normalised discounted cumulative gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome, discounts, ideal_dcg, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class NDCG(GainMetric):
    """Binary gains, discount 1 / log2(rank + 1), ideal list with min(k, R) hits (Järvelin & Kekäläinen 2002)."""

    name: ClassVar[str] = "ndcg"
    summary: ClassVar[str] = "Discounted cumulative gain of the first k places, divided by that of the ideal list."

    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """Discount of each hit, divided by the DCG of the ideal list."""
        return self.hits(outcome) * discounts(self.k) / ideal_dcg(outcome.relevant, self.k)[:, None]

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """DCG of a list in which each place is relevant with probability R / C, divided by the ideal DCG."""
        filled = np.concatenate([[0.0], np.cumsum(discounts(self.k))])[reached(outcome, self.k)]
        return outcome.relevant / outcome.candidates * filled / ideal_dcg(outcome.relevant, self.k)
