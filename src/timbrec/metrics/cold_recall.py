"""Recall of cold items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class ColdRecall(Metric):
    """Cold hits among the first k, divided by the user's relevant cold items. In [0, 1]; NaN without any."""

    name: ClassVar[str] = "cold-recall"

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Found share of each user's relevant cold items."""
        hits = (self.hits(outcome) & outcome.cold[self.items(outcome)]).sum(1, dtype=np.float64)
        return _per_cold(hits, outcome)

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / C, as for recall."""
        expected = reached(outcome, self.k) / outcome.candidates * outcome.relevant_cold
        return _per_cold(expected, outcome)


def _per_cold(values: Float[Array, "users"], outcome: Outcome) -> Float[Array, "users"]:
    count = outcome.relevant_cold
    return np.divide(values, count, out=np.full(len(count), np.nan), where=count > 0)
