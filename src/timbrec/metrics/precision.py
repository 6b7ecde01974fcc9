"""Precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float, Int


@dataclass(frozen=True)
class Precision(GainMetric):
    """Hits in the first k places, divided by k, also where a user has fewer than k candidates. In [0, 1]."""

    name: ClassVar[str] = "precision"
    summary: ClassVar[str] = "Share of relevant tracks in the first k places."

    def weights(self, ranks: Int[Array, "*ranks"], ordinals: Int[Array, "*ordinals"]) -> Float[Array, "*weights"]:
        """1."""
        return np.ones(ranks.shape)

    def norm(self, relevant: Int[Array, "users"]) -> Float[Array, "users"]:
        """The metric's k."""
        return np.full(len(relevant), float(self.k))

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / k * R / C for R relevant items among C candidates."""
        return reached(outcome, self.k) / self.k * outcome.relevant / outcome.candidates
