"""Recall of cold items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class ColdRecall(Metric):
    """Cold hits in the first k places, divided by the user's relevant cold items. In [0, 1]; NaN without any."""

    name: ClassVar[str] = "cold-recall"
    summary: ClassVar[str] = "Share of a user's relevant new tracks in the first k places."

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Recall of each user's relevant cold items, in [0, 1]; NaN for a user without any."""
        hits = (self.hits(outcome) & outcome.cold[self.items(outcome)]).sum(1, dtype=np.float64)
        return _per_cold(hits, outcome)

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / C for C candidates, as for recall; NaN for a user without relevant cold items."""
        expected = reached(outcome, self.k) / outcome.candidates * outcome.relevant_cold
        return _per_cold(expected, outcome)


def _per_cold(values: Float[Array, "users"], outcome: Outcome) -> Float[Array, "users"]:
    count = outcome.relevant_cold
    return np.divide(values, count, out=np.full(len(count), np.nan), where=count > 0)
