"""Mean average precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float, Int


@dataclass(frozen=True)
class MAP(GainMetric):
    """Mean over the user's R relevant items of the precision at the item's rank; 0 for an item below rank k.

    The denominator is R, as in trec_eval's `map_cut` and ranx, not min(k, R).
    """

    name: ClassVar[str] = "map"
    summary: ClassVar[str] = "Mean of the precision at each relevant track's rank, up to rank k."

    def weights(self, ranks: Int[Array, "*ranks"], ordinals: Int[Array, "*ordinals"]) -> Float[Array, "*weights"]:
        """Precision at the hit's rank."""
        return ordinals / ranks

    def norm(self, relevant: Int[Array, "users"]) -> Float[Array, "users"]:
        """R."""
        return relevant.astype(float)

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """1/C * sum over ranks i of (1 + (i - 1) (R - 1) / (C - 1)) / i, for i up to min(k, C)."""
        ranks = np.arange(1, self.k + 1)
        first, rest = (np.concatenate([[0.0], np.cumsum(part)]) for part in (1 / ranks, (ranks - 1) / ranks))
        places, others = reached(outcome, self.k), np.maximum(outcome.candidates - 1, 1)
        return (first[places] + rest[places] * (outcome.relevant - 1) / others) / outcome.candidates
