"""Recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float, Int


@dataclass(frozen=True)
class Recall(GainMetric):
    """Hits in the first k places, divided by R, the number of the user's relevant items (not min(k, R)). In [0, 1]."""

    name: ClassVar[str] = "recall"
    summary: ClassVar[str] = "Share of a user's relevant tracks in the first k places."

    def weights(self, ranks: Int[Array, "*ranks"], ordinals: Int[Array, "*ordinals"]) -> Float[Array, "*weights"]:
        """1."""
        return np.ones(ranks.shape)

    def norm(self, relevant: Int[Array, "users"]) -> Float[Array, "users"]:
        """R."""
        return relevant.astype(float)

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / C: each of the C candidates is equally likely to be in the first k places."""
        return reached(outcome, self.k) / outcome.candidates
