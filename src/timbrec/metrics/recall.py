"""Recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from timbrec.metrics.base import Metric, Outcome, reached
from timbrec.types import Array, Float


@dataclass(frozen=True)
class Recall(Metric):
    """Hits among the first k, divided by the user's relevant items (all of them, not min(k, R)). In [0, 1]."""

    name: ClassVar[str] = "recall"

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Found share of each user's relevant items."""
        return outcome.hits[:, : self.k].sum(1) / outcome.relevant

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """min(k, C) / C: every candidate is as likely as any other to be among the first k."""
        return reached(outcome, self.k) / outcome.candidates
