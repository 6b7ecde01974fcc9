"""Precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class Precision(GainMetric):
    """Hits among the first k, divided by k even where the candidates ran out before k. In [0, 1]."""

    name: ClassVar[str] = "precision"

    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """1 / k for every hit."""
        return self.hits(outcome) / self.k

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / k * R / C."""
        return reached(outcome, self.k) / self.k * outcome.relevant / outcome.candidates
