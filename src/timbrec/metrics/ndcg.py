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

    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """The discount of every hit over the DCG of the ideal list."""
        return self.hits(outcome) * discounts(self.k) / ideal_dcg(outcome.relevant, self.k)[:, None]

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """Every place holds a relevant item with probability R / C."""
        filled = np.concatenate([[0.0], np.cumsum(discounts(self.k))])[reached(outcome, self.k)]
        return outcome.relevant / outcome.candidates * filled / ideal_dcg(outcome.relevant, self.k)
