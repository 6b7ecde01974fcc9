"""Recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from timbrec.metrics.shared.base import GainMetric, Outcome, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class Recall(GainMetric):
    """Hits among the first k, divided by the user's relevant items (all of them, not min(k, R)). In [0, 1]."""

    name: ClassVar[str] = "recall"

    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """1 / R for every hit."""
        return self.hits(outcome) / outcome.relevant[:, None]

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / C: every candidate is as likely as any other to be among the first k."""
        return reached(outcome, self.k) / outcome.candidates
