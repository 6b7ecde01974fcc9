"""Normalised discounted cumulative gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome, discounts, ideal_dcg, reached
from timbrec.types import Array, Float, Int


@dataclass(frozen=True)
class NDCG(GainMetric):
    """Binary gains, discount 1 / log2(rank + 1), ideal list with min(k, R) hits (Järvelin & Kekäläinen 2002)."""

    name: ClassVar[str] = "ndcg"
    summary: ClassVar[str] = "Discounted cumulative gain of the first k places, divided by that of the ideal list."

    def weights(self, ranks: Int[Array, "*ranks"], ordinals: Int[Array, "*ordinals"]) -> Float[Array, "*weights"]:
        """1 / log2(rank + 1)."""
        return np.asarray(1 / np.log2(ranks + 1))

    def norm(self, relevant: Int[Array, "users"]) -> Float[Array, "users"]:
        """DCG of the ideal list."""
        return ideal_dcg(relevant, self.k)

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """DCG of a list in which each place is relevant with probability R / C, divided by the ideal DCG."""
        filled = np.concatenate([[0.0], np.cumsum(discounts(self.k))])[reached(outcome, self.k)]
        return outcome.relevant / outcome.candidates * filled / ideal_dcg(outcome.relevant, self.k)
