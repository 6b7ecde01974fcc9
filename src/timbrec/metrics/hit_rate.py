"""Hit rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float, Int


@dataclass(frozen=True)
class HitRate(GainMetric):
    """1 if at least one of the first k items is relevant, else 0."""

    name: ClassVar[str] = "hitrate"
    summary: ClassVar[str] = "Share of users with at least one relevant track in the first k places."

    def weights(self, ranks: Int[Array, "*ranks"], ordinals: Int[Array, "*ordinals"]) -> Float[Array, "*weights"]:
        """1 for the first hit, 0 for the others."""
        return np.asarray((ordinals == 1) * np.ones(ranks.shape))

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """1 - C(C - R, k) / C(C, k): the probability of a relevant item among k of C candidates (hypergeometric)."""
        from scipy.special import gammaln

        places, irrelevant = reached(outcome, self.k), outcome.candidates - outcome.relevant
        none = (
            gammaln(irrelevant + 1.0)
            - gammaln(np.maximum(irrelevant - places, 0) + 1.0)
            - gammaln(outcome.candidates + 1.0)
            + gammaln(outcome.candidates - places + 1.0)
        )
        return np.asarray(np.where(places > irrelevant, 1.0, 1 - np.exp(none)))
