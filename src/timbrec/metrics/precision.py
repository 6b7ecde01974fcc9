"""Precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class Precision(GainMetric):
    """Hits in the first k places, divided by k, also where a user has fewer than k candidates. In [0, 1]."""

    name: ClassVar[str] = "precision"
    summary: ClassVar[str] = "Share of relevant tracks in the first k places."

    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """1 / k for each hit."""
        return self.hits(outcome) / self.k

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / k * R / C for R relevant items among C candidates."""
        return reached(outcome, self.k) / self.k * outcome.relevant / outcome.candidates
