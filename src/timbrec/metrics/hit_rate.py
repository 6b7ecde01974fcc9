"""Hit rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class HitRate(GainMetric):
    """1 if any of the first k items is relevant, else 0. Chance: 1 - C(C-R, k) / C(C, k), hypergeometric."""

    name: ClassVar[str] = "hitrate"

    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """One hit's worth, shared equally among a user's hits."""
        hits = self.hits(outcome)
        return hits / np.maximum(hits.sum(1, keepdims=True), 1)

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """Probability that k draws without replacement meet at least one relevant item."""
        from scipy.special import gammaln

        places, irrelevant = reached(outcome, self.k), outcome.candidates - outcome.relevant
        none = (
            gammaln(irrelevant + 1.0)
            - gammaln(np.maximum(irrelevant - places, 0) + 1.0)
            - gammaln(outcome.candidates + 1.0)
            + gammaln(outcome.candidates - places + 1.0)
        )
        return np.asarray(np.where(places > irrelevant, 1.0, 1 - np.exp(none)))
